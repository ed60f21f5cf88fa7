"""`manage.py benchmark`: workloads on a temporary site."""
