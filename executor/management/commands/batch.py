"""`manage.py batch VERB`: the actions on batches, from a shell."""

import logging
import sys

from django.core.management.base import BaseCommand

from executor.cli import add_verbs, run
from executor.management.streams import plain


class Command(BaseCommand):
    help = "Add tasks, start and stop batches, watch them, and get their results."
    requires_system_checks = []  # they only delay every call
    stealth_options = ("verb",)

    def add_arguments(self, parser):
        parser.epilog = (
            "Exit codes: 0 done; 1 finished, but tasks failed; 2 an error; 3 not finished; 130 interrupted. "
            "--data DIR is the folder of the data (default: var)."
        )
        add_verbs(parser)

    def handle(self, *, verb, **options):
        # Log lines would be mixed with the answer, which names the error anyway.
        logging.getLogger("executor").setLevel(logging.ERROR)
        code = run(verb, options, plain(self.stdout), plain(self.stderr))
        if code:
            sys.exit(code)
