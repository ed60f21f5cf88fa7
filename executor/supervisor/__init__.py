"""`manage.py up`: preparation, then Valkey, workers and web server under one supervisor.

preparation.py   checks before the first process starts: locks, port, database
database.py      tables, roles, first user, agent token
site.py          the processes of a site, in the order they need each other
supervisor.py    the loop that starts, reads, restarts and stops child processes
child.py, log.py, lock.py, valkey.py, health_probe.py, demo.py   its parts
"""
