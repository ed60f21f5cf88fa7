"""`manage.py up`: everything on this machine, with one command. Ctrl-C ends all of it."""

import argparse
import signal

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from executor.supervisor.bootstrap import become_supervisor, open_site
from executor.supervisor.site import CannotStart, Wishes


class Command(BaseCommand):
    help = "Start everything: the embedded Valkey, the workers and the web server."
    requires_system_checks = []  # most are run by the tests; here they would only delay the start

    def add_arguments(self, parser):
        parser.add_argument("--port", type=_port, default=8000)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--workers", type=_count, default=2, help="worker processes (default: %(default)s)")
        parser.add_argument(
            "--concurrency",
            type=_count,
            default=settings.BATCH_CONCURRENCY,
            help="tasks at once in each of them (default: %(default)s)",
        )
        parser.add_argument("--no-browser-link", action="store_true", help="print no login link")
        parser.add_argument("--demo", action="store_true", help="fill a batch with 200 varied tasks and start it")
        parser.epilog = "--data DIR before or after `up` says where all state lives (default: var)."

    def handle(self, *, port, host, workers, concurrency, no_browser_link, demo, **_options):
        self.check(tags=["batch_functions"])
        wishes = Wishes(host, port, workers, concurrency, login_link=not no_browser_link, demo=demo)
        # Nothing is started yet that would have to be ended: an early Ctrl-C just ends us.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            plan = open_site(wishes, settings.DATA_DIR)
        except CannotStart as error:
            raise CommandError(str(error)) from None
        become_supervisor(plan)


def _port(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; ports are 1 to 65535")
    return number


def _count(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if not 0 < number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return number
