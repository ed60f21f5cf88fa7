"""What `manage.py up` is made of: children that cannot outlive us, one log of them all, an embedded Valkey."""
