"""`manage.py benchmark`: throughput, latency and memory on a temporary site."""

import os
import platform
import sys
from pathlib import Path

import orjson
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from executor.testbed.benchmark.peers import KINDS, measure
from executor.testbed.benchmark.plan import WORKLOADS, Workload
from executor.testbed.benchmark.runner import BenchmarkSite
from executor.testbed.temporary_site import Interrupted, TestbedError


class Command(BaseCommand):
    help = "Measure throughput, latency and memory on a temporary site; your own data is not touched."
    requires_system_checks = []

    def add_arguments(self, parser):
        long = ", ".join(each.name for each in WORKLOADS.values() if each.long)
        summaries = "; ".join(f"{each.name}: {each.tasks:,} {each.summary}" for each in WORKLOADS.values())
        parser.add_argument(
            "workloads", nargs="*", metavar="workload", help=f"default: all but the long ones ({long}). {summaries}"
        )
        parser.add_argument("--tasks", type=int, help="number of tasks (default: each workload's own)")
        parser.add_argument(
            "--repeat", type=int, default=1, help="runs of each workload; the median is shown (default: 1)"
        )
        parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
        parser.add_argument(
            "--against",
            type=Path,
            metavar="DIR",
            help=f"measure other task queues as well, for {', '.join(KINDS)}; DIR has their bench.py and venv",
        )
        parser.add_argument(
            "--peers", nargs="+", default=[], metavar="NAME", help="names of other task queues (default: all)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, workloads, tasks, repeat, database, against, peers, json, **_options):
        if unknown := [name for name in workloads if name not in WORKLOADS]:
            raise CommandError(f"There is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}.", returncode=2)
        if not 0 < (tasks or 1) <= 1_000_000 or not 0 < repeat <= 100:
            raise CommandError("--tasks must be from 1 to 1,000,000, and --repeat from 1 to 100.", returncode=2)
        results = {}
        try:
            # The progress bar has no thread: forking beside threads is unsafe.
            with _progress() as progress:
                for name in workloads or (each.name for each in WORKLOADS.values() if not each.long):
                    results[name] = _measure(WORKLOADS[name], tasks, repeat, database, progress)
                    if against and name in KINDS:
                        results[name]["peers"] = _measure_peers(against, name, peers, progress)
        except TestbedError as error:
            raise CommandError(str(error)) from None
        except (Interrupted, KeyboardInterrupt):
            self.stderr.write("Stopped.")
            sys.exit(130)
        if json:
            machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
            answer = {"database": database, "machine": machine, "workloads": results}
            self.stdout.write(orjson.dumps(answer).decode())
        else:
            _print_tables(results, database)


def _measure(workload: Workload, tasks: int | None, repeat: int, database: str, progress: Progress) -> dict:
    """Run a workload and return the median run."""
    tasks = tasks or workload.tasks
    bar = progress.add_task(workload.name, total=tasks)

    def show(done: int, of: int) -> None:
        progress.update(bar, completed=done, total=of)
        progress.refresh()

    show(0, tasks)
    # Workers are measured warm. Without workers, each run has its own site.
    sites = 1 if workload.workers else repeat
    runs = []
    for _ in range(sites):
        with BenchmarkSite(database) as site:
            site.start_workers(workload)
            web = site.start_web() if workload.web else ()
            runs += [site.run_workload(workload, tasks, *web, show_progress=show) for _ in range(repeat // sites)]
    typical = workload.typical(runs)
    return {**typical, "runs": [run[workload.figure] for run in runs]} if repeat > 1 else typical


def _measure_peers(folder: Path, workload: str, names: list[str], progress: Progress) -> dict[str, float]:
    bar = progress.add_task(f"{workload}, peers", total=1)
    progress.refresh()
    found = measure(folder.resolve(), workload, names)
    progress.update(bar, completed=1)
    return found


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), auto_refresh=False)


def _print_tables(results: dict[str, dict], database: str) -> None:
    table = Table(title=f"{database}, {os.cpu_count()} processors", box=None, title_justify="left")
    table.add_column("workload")
    table.add_column("what")
    table.add_column("result", justify="right")
    table.add_column("also")
    for name, result in results.items():
        workload = WORKLOADS[name]
        also = [f"{key} {value}" for key, value in result.items() if key not in ("tasks", "peers", workload.figure)]
        figure = f"{result[workload.figure]:,} {workload.unit}"
        table.add_row(name, f"{result['tasks']:,} {workload.summary}", figure, ", ".join(also))
        for peer, value in result.get("peers", {}).items():
            ratio = result[workload.figure] / value if workload.best == "most" else value / result[workload.figure]
            table.add_row("", f"[dim]{peer}[/dim]", f"{value:,} {workload.unit}", f"ours is {ratio:.1f} times as good")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
