"""What `manage.py benchmark` measures, on a temporary installation of its own."""
