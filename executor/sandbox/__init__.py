"""The sandbox: runs programs under the strongest containment that this machine allows, and reports its level.

levels.py    the three levels and their layers
probe.py     the level of this machine, tested by a canary
policy.py    the level that the settings require
programs.py  command line of a runtime
run.py       one run: its input and its result
output.py    output of a program: live, and its head and tail
server.py    the worker's handle of its fork server
cost.py      time that the containment adds to a program
jail/        the fork server, and the layers
"""


def report() -> dict:
    """Return level, layers and missing layers of this machine.

    The first call probes the machine and takes a moment. It leaves no fork server behind, so that a worker which runs
    no programs does not pay for one.
    """
    from . import probe, server  # deferred: the fork server imports this package without Django

    probed_before = probe.cached() is not None
    found = probe.containment().as_dict()
    if not probed_before:
        server.stop()
    return found
