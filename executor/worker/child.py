"""The child process that runs plain functions, one call after another, until it is killed.

It is forked from a server process that has Django loaded and nothing else running, and dies with it. Calls and answers
are JSON behind their length in four bytes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys

import orjson

HEADER = struct.Struct("!I")
_PR_SET_PDEATHSIG = 1


def serve(connection) -> None:
    """Answer calls until the other end is closed. `connection` is a multiprocessing Connection over a socket."""
    os.setsid()  # the worker kills this group: what the function started goes with it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        connection.close()
        stream = line.makefile("rwb")
        while header := stream.read(HEADER.size):
            call = orjson.loads(stream.read(HEADER.unpack(header)[0]))
            answer = orjson.dumps(_answer(call))
            stream.write(HEADER.pack(len(answer)) + answer)
            stream.flush()


def _answer(call: dict) -> dict:
    from django.db import close_old_connections

    from executor.errors import TaskError
    from executor.functions import TaskContext, lookup
    from executor.worker.results import encode, message_of, traceback_of

    close_old_connections()
    try:
        function = lookup(call["function"])
        context = TaskContext(**call["context"])
        return {"result": encode(function.call(**function.arguments(call["params"], context)))}
    except TaskError as error:
        return {
            "error": error.message,
            "kind": error.kind,
            "retryable": error.retryable,
            "retry_after": error.retry_after,
            "details": error.details,
            "traceback": traceback_of(error),
        }
    except BaseException as error:
        return {"error": message_of(error), "kind": type(error).__name__, "traceback": traceback_of(error)}
    finally:
        close_old_connections()
