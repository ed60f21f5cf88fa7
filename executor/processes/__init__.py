"""Child processes: start, death with the parent, process groups, message framing.

layout.py           folders of the product, in a checkout and installed
linux.py            prctl: death signal, subreaper
groups.py           signals to a process group
framing.py          length-prefixed messages on a byte stream
spawning.py         start of a child in a new session; the command line of a bare interpreter
die_with_parent.py  command wrapper: the program it runs ends with the wrapper's parent

Imports the standard library alone: the sandbox's server runs it in an interpreter without site packages.
"""
