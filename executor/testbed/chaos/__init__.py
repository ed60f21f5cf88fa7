"""`manage.py chaos`: random faults on a temporary site under load, and an audit of the invariants afterwards.

faults.py       faults of processes, and the site that they happen to
callers.py      operations of callers, and faults of Redis and the database
load.py         the tasks, and their expected outcomes; batch_functions.py runs them
submissions.py  what the callers added and ordered
report.py       the audit and its report
"""

KILLS_FILE = "kills.json"  # in the site's folder: [[pid, time], …] of the workers that were killed
