#!/usr/bin/env python
"""The command line of Batch Executor. `--data DIR` says where its state lives (default `var/`)."""

import os
import sys


def take_data_folder(argv: list[str]) -> list[str]:
    """Move `--data DIR` from the arguments to the environment: settings need it before any command is known."""
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--data":
            folder = next(words, "")
            if not folder:
                sys.exit("--data needs a folder, for example: --data var")
            os.environ["BATCH_DATA"] = folder
        elif word.startswith("--data="):
            os.environ["BATCH_DATA"] = word.removeprefix("--data=")
        else:
            rest.append(word)
    return rest


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    from django.core.management import execute_from_command_line

    words = take_data_folder(sys.argv)
    try:
        execute_from_command_line(words)
    except Exception as error:
        from django.db import Error

        if not isinstance(error, Error) or "--traceback" in words:
            raise
        from executor.cli.problems import explained

        told = explained(error)
        sys.exit(f"{told.message} {told.fix}")
