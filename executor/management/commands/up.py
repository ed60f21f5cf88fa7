"""`manage.py up`: the whole site on this machine with one command. Ctrl-C stops it."""

import argparse
import signal

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from executor.supervisor.preparation import prepare
from executor.supervisor.site import Site, StartupError, UpOptions


class Command(BaseCommand):
    help = "Start everything: the embedded Valkey, the workers and the web server."
    requires_system_checks = []  # those that matter run in `handle`; the others would delay the start

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=_port, default=8000)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--workers", type=_count, default=2, help="worker processes (default: %(default)s)")
        parser.add_argument(
            "--concurrency",
            type=_count,
            default=settings.BATCH_CONCURRENCY,
            help="concurrent tasks in each of them (default: %(default)s)",
        )
        parser.add_argument("--no-browser-link", action="store_true", help="print no login link")
        parser.add_argument("--demo", action="store_true", help="add a batch of 200 varied tasks and start it")
        parser.epilog = "--data DIR before or after `up` sets the folder of all state (default: var)."

    def handle(self, *, port, host, workers, concurrency, no_browser_link, demo, **_options) -> None:
        self.check(tags=["batch_functions", "batch_settings"])
        options = UpOptions(host, port, workers, concurrency, login_link=not no_browser_link, demo=demo)
        # No process is started yet: an early Ctrl-C ends this one at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            Site(prepare(options, settings.DATA_DIR)).run()
        except StartupError as error:
            raise CommandError(str(error)) from None


def _port(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return number


def _count(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if not 0 < number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return number
