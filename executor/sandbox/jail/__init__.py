"""What happens on the other side of the wall: a small server process without Django, and what it forks.

serve.py       waits for runs and forks a keeper for each
keeper.py      one run from its order to its answer: prepare, start, watch, end everything, collect, tidy up
namespaces.py  level "isolated": namespaces and mounts by plain system calls
bubblewrap.py  level "isolated" where only bubblewrap may make namespaces
confine.py     the last steps of every program: limits, no new privileges, Landlock, seccomp, exec

It imports the standard library alone, so that it starts in a moment and stays small.
"""
