"""The canary: a program that tests the layers of its sandbox and prints its findings as JSON.

It is run as a text by the real launcher, never imported. Arguments: a file that it must not be able to read, a path
that it must not be able to write, and the pid of the worker.
"""

import json
import os
import resource
import socket
import sys


def found():
    secret, place, parent = sys.argv[1:4]
    status = {}
    try:
        with open("/proc/self/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        pass
    names = {}
    for kind in ("user", "pid", "net", "mnt", "ipc", "uts"):
        try:
            names[kind] = os.readlink(f"/proc/self/ns/{kind}")
        except OSError:
            names[kind] = ""
    return {
        "secret": works(lambda: open(secret).read()),
        "write": works(lambda: open(place, "w")),
        "internet": works(lambda: socket.socket(socket.AF_INET)),
        "signal": works(lambda: os.kill(int(parent), 0)),
        "own_file": works(lambda: open("own", "w")),
        "temporary_file": works(lambda: open(os.path.join(os.environ["TMPDIR"], "own"), "w")),
        "namespaces": names,
        "no_new_privs": status.get("NoNewPrivs") == "1",
        "seccomp": status.get("Seccomp") == "2",
        "capabilities": int(status.get("CapEff", "0"), 16),
        "own_process": works(lambda: open("/proc/self/oom_score_adj")),
        "own_process_changed": works(lambda: open("/proc/self/oom_score_adj", "w")),
        "limits": {
            name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in ("DATA", "FSIZE", "NPROC")
        },
        "user": os.getuid(),
    }


def works(attempt):
    try:
        attempt()
    except Exception:
        return False
    return True


sys.stdout.write(json.dumps(found()))
