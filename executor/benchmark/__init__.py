"""What `manage.py benchmark` measures, and the ground it does it on: everything real, everything temporary."""
