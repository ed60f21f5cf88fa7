"""Programs of others, contained: the strongest walls that this machine allows, and an honest word on which those are.

levels.py    the three levels and what they are made of
probe.py     which of them this machine allows, found out by a canary
programs.py  from a text and a runtime to a command line
run.py       one run: what goes in, what comes out
server.py    the worker's hold on the process that starts programs
jail/        that process, and the walls
"""


def report() -> dict:
    """Level, layers and what is missing on this machine, as it is shown. Found out at the first call, which takes a
    moment; nothing stays behind that a worker without programs would pay for."""
    from . import probe, server  # the server process imports this package without Django

    looked = probe.known() is not None
    found = probe.standing().shown()
    if not looked:
        server.stop()
    return found
