"""`manage.py chaos`: random faults on a temporary site under load, then a check of all invariants."""

import random
import sys

import orjson
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from executor.testbed.chaos.faults import ChaosSite
from executor.testbed.temporary_site import Interrupted, TestbedError


class Command(BaseCommand):
    help = "Inject random faults into a temporary site under load, and check all invariants afterwards."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument(
            "--seed", type=int, help="seed of the random faults and operations; their timing still varies"
        )
        parser.add_argument("--minutes", type=float, default=1.0, help="minutes of faults (default: 1)")
        parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, seed, minutes, database, json, **_options):
        if not 0 < minutes <= 24 * 60:
            raise CommandError("--minutes must be more than 0 and at most 1440.", returncode=2)
        seed = random.randrange(1_000_000) if seed is None else seed
        self.stderr.write(f"chaos --seed {seed} --minutes {minutes:g} --database {database}")
        try:
            # The progress bar has no thread: forking beside threads is unsafe.
            with _progress() as progress:
                bar = progress.add_task("final tasks", total=None)

                def show(done: int, of: int) -> None:
                    progress.update(bar, completed=done, total=of)
                    progress.refresh()

                with ChaosSite(database, seed) as site:
                    report = site.run_chaos(seed, minutes * 60, show)
        except TestbedError as error:
            raise CommandError(str(error)) from None
        except (Interrupted, KeyboardInterrupt):
            self.stderr.write("Stopped.")
            sys.exit(130)
        if json:
            self.stdout.write(orjson.dumps({"seed": seed, "minutes": minutes, "database": database, **report}).decode())
        else:
            _print_tables(report, seed, minutes, database)
        if report["breaches"]:
            self.stderr.write(f"Invariants were broken, with seed {seed}:")
            for breach in report["breaches"]:
                self.stderr.write(f"  {breach}")
            sys.exit(1)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), auto_refresh=False)


def _print_tables(report: dict, seed: int, minutes: float, database: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"seed {seed}, {minutes:g} min, {database}\n")
    rescue, settled = report["seconds_to_rescue"], report["seconds_to_settle"]
    outcomes = {name.replace("_", " "): f"{count:,}" for name, count in report["outcomes"].items()}
    if report["unavailable"]:
        outcomes["calls repeated while the database was unavailable"] = f"{report['unavailable']:,}"
    if rescue:
        outcomes["seconds from a kill to the rescue"] = f"p50 {rescue['p50']}, p95 {rescue['p95']}, max {rescue['max']}"
    outcomes["seconds from the last fault to the last final task"] = (
        "not all are final" if settled is None else f"{settled}"
    )
    invariants = {
        f"{each['number']:>2}  {each['promise']}": f"broken {each['breaches']} times" if each["breaches"] else "held"
        for each in report["promises"]
    }
    done = {name: f"{count:,}" for name, count in sorted(report["done"].items(), key=lambda item: -item[1])}
    for title, rows in (("operations and faults", done), ("outcomes", outcomes), ("invariants", invariants)):
        table = Table(box=None, show_edge=False, pad_edge=False)
        table.add_column(title)
        table.add_column("", justify="right")
        for name, value in rows.items():
            table.add_row(name, value)
        console.print(table)
        console.print()
