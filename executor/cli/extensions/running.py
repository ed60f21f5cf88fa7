"""start, watch and wait: following a batch, with an exit code for its outcome."""

from __future__ import annotations

import argparse

from ..screen import Screen
from ..verbs import Options, execute_given, extends, own_verb
from ..watch import NOT_FINISHED, exit_code, watch

FOLLOW = "follow the batch until it ends: exit code 0, or 1 when tasks failed, 3 when it was stopped"


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--watch`."""
    parser.add_argument("--watch", action="store_true", help=f"after the start, {FOLLOW}")


@extends("start", add_watch)
def start(screen: Screen, options: Options) -> int:
    response = execute_given("start", options)
    screen.answer(response)
    if options.get("watch"):
        return watch(screen, response.data["batch_id"])
    if not screen.as_json:
        screen.next(response.data["next"])
    return 0


def _watch_options(parser: argparse.ArgumentParser) -> None:
    help = "the batch's id or name; without it, your default batch"
    parser.add_argument("--batch", metavar="BATCH", help=help)


@own_verb("watch", f"Show a live progress bar and {FOLLOW}.", _watch_options)
def watch_batch(screen: Screen, options: Options) -> int:
    return watch(screen, execute_given("status", options).data["batch_id"])


@extends("wait")
def wait(screen: Screen, options: Options) -> int:
    response = execute_given("wait", options)
    screen.answer(response)
    if options.get("until") == "change":
        return NOT_FINISHED if response.data["timed_out"] else 0
    return exit_code(response.data)
