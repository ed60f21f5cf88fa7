"""The only writer of task and batch status.

transaction.py    one transaction over locked batches; the base of BatchQueue
locked_batch.py   a batch under its lock: counters and the frame of this transaction
statements.py     the SQL, with guards made from the table of moves
adding.py         add
claiming.py       claim
outcomes.py       complete, fail, release, cancel (running), rescue; endings.py decides which
commands.py       start, stop, cancel (queued), retry, set priority and limit, clear
scheduling.py     which task goes next, whose ticket goes out
batch_queue.py    BatchQueue: all verbs together
backoff.py        how long a task waits before its retry
dispatch.py       how the rest of the program opens a BatchQueue; tickets and notifications after the commit
repair.py         what a fault left behind: lost workers, lost tickets, due tasks
retention.py      deletion of expired records
"""
