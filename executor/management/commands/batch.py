"""`manage.py batch VERB`: everything that can be done with batches, from a shell."""

import logging
import sys

from django.core.management.base import BaseCommand

from executor.cli import add_verbs, run
from executor.management.streams import plain


class Command(BaseCommand):
    help = "Add tasks, start and stop batches, watch them, and get what came of them."
    requires_system_checks = []  # they would only delay every call
    stealth_options = ("verb",)

    def add_arguments(self, parser):
        parser.epilog = (
            "Exit codes: 0 done; 1 finished, but tasks failed; 2 an error; 3 not finished; 130 interrupted. "
            "--data DIR says where the data is (default: var)."
        )
        add_verbs(parser)

    def handle(self, *, verb, **options):
        # What a library has to tell would tear the answer apart; what went wrong is in the answer.
        logging.getLogger("executor").setLevel(logging.ERROR)
        code = run(verb, options, plain(self.stdout), plain(self.stderr))
        if code:
            sys.exit(code)
