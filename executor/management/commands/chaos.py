"""`manage.py chaos`: faults of every kind, all at once, on a temporary installation under load; then every promise is
checked."""

import random
import sys

import orjson
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from executor.testbed.chaos.storm import Storm
from executor.testbed.installation import CannotGoOn, Interrupted


class Command(BaseCommand):
    help = "Kill, freeze, restart and confuse a temporary installation under load, and check every promise afterwards."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--seed", type=int, help="the same seed does the same things (not at the same moments)")
        parser.add_argument("--minutes", type=float, default=1.0, help="how long faults happen (default: 1)")
        parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
        parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")

    def handle(self, *, seed, minutes, database, json, **_options):
        if not 0 < minutes <= 24 * 60:
            raise CommandError("--minutes must be more than 0 and at most 1440.", returncode=2)
        seed = random.randrange(1_000_000) if seed is None else seed
        self.stderr.write(f"chaos --seed {seed} --minutes {minutes:g} --database {database}")
        try:
            # No thread draws the bar: processes are started meanwhile.
            with _progress() as progress:
                bar = progress.add_task("tasks that are over", total=None)

                def show(done: int, of: int) -> None:
                    progress.update(bar, completed=done, total=of)
                    progress.refresh()

                with Storm(database, seed) as storm:
                    verdict = storm.run_through(seed, minutes * 60, show)
        except CannotGoOn as error:
            raise CommandError(str(error)) from None
        except (Interrupted, KeyboardInterrupt):
            self.stderr.write("Stopped.")
            sys.exit(130)
        if json:
            self.stdout.write(
                orjson.dumps({"seed": seed, "minutes": minutes, "database": database, **verdict}).decode()
            )
        else:
            out = self.stdout._out
            _show(verdict, seed, minutes, database, Console(file=out, width=None if out.isatty() else 120))
        if verdict["breaches"]:
            self.stderr.write(f"Promises were broken, with seed {seed}:")
            for told in verdict["breaches"]:
                self.stderr.write(f"  {told}")
            sys.exit(1)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), auto_refresh=False)


def _show(verdict: dict, seed: int, minutes: float, database: str, console: Console) -> None:
    console.print(f"seed {seed}, {minutes:g} min, {database}\n")
    rescue, settled = verdict["seconds_to_rescue"], verdict["seconds_to_settle"]
    outcomes = {name.replace("_", " "): f"{count:,}" for name, count in verdict["outcomes"].items()}
    if verdict["unavailable"]:
        outcomes["calls made again, the database was away"] = f"{verdict['unavailable']:,}"
    if rescue:
        outcomes["seconds from a kill to the rescue"] = f"p50 {rescue['p50']}, p95 {rescue['p95']}, max {rescue['max']}"
    outcomes["seconds from the last fault to the end"] = "did not end" if settled is None else f"{settled}"
    kept = {
        f"{each['number']:>2}  {each['promise']}": f"broken {each['breaches']} times" if each["breaches"] else "kept"
        for each in verdict["promises"]
    }
    done = {name: f"{count:,}" for name, count in sorted(verdict["done"].items(), key=lambda item: -item[1])}
    for title, rows in (("what happened", done), ("what came of it", outcomes), ("promises", kept)):
        table = Table(box=None, show_edge=False, pad_edge=False)
        table.add_column(title)
        table.add_column("", justify="right")
        for name, value in rows.items():
            table.add_row(name, value)
        console.print(table)
        console.print()
