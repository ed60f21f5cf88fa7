"""What `manage.py chaos` does: faults of every kind at random, all at once, on a temporary installation under load; and
then it looks whether every promise was kept."""

KILLS = "kills.json"  # in the run's folder: [[pid, when], …] of the workers that were killed
