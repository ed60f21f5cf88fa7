"""The entry point of `manage.py batch`.

Exit codes: 0 done, 1 tasks failed, 2 an error, 3 not finished, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from .problems import explained
from .screen import Screen
from .verbs import verbs
from .watch import INTERRUPTED

ERROR = 2


def run(verb: str, options: dict[str, Any], out: TextIO, err: TextIO) -> int:
    """Run a verb and return the exit code. Errors are printed as a sentence, with `--traceback` raised."""
    screen = Screen(out, err, options.pop("json", False))
    try:
        return verbs()[verb].run(screen, options) or 0
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if options.get("traceback"):
            raise
        screen.problem(explained(error))
        return ERROR
