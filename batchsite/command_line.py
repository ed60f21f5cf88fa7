"""The command line of Batch Executor: `batch-executor`, `python -m batchsite` and `manage.py`."""

import os
import sys


def main() -> None:
    """Run the command in `sys.argv`. `--data DIR` is the folder of all state (default: `var`)."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: BATCH_APPS may name packages in the current folder
    from django.core.management import execute_from_command_line

    arguments = take_data_folder(sys.argv)
    try:
        execute_from_command_line(arguments)
    except Exception as error:
        from django.db import Error

        if not isinstance(error, Error) or "--traceback" in arguments:
            raise
        from executor.cli.problems import explained

        problem = explained(error)
        sys.exit(f"{problem.message} {problem.fix}")


def take_data_folder(arguments: list[str]) -> list[str]:
    """Move `--data DIR` from the arguments to the environment, where the settings read it before any command runs."""
    rest: list[str] = []
    words = iter(arguments)
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
