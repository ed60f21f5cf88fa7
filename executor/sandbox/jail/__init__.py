"""The far side of the sandbox: a small fork server without Django, and the processes it forks.

fork_server.py      forks one monitor for each run
monitor.py          one run: start the program, enforce its limits, kill everything it left, collect its files
launch.py           start of the program for each launcher
namespaces.py       launcher of the level "isolated", by plain system calls
bubblewrap.py       launcher of the level "isolated" on hosts where only bubblewrap may create namespaces
confine.py          last steps of every program before exec: limits, no new privileges, Landlock, seccomp
process_tree.py     descendants of a process: their memory, their end
files.py            files of a run: written, collected, removed

Imports nothing but the standard library and executor.processes, so that it starts quickly and stays small.
"""
