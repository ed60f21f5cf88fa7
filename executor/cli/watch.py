"""Following a batch live: a progress bar on a terminal, lines where there is none, JSON lines for programs."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from executor.actions.status import sentence
from executor.domain.formatting import whole_duration
from executor.domain.states import FINAL, BatchState, TaskStatus
from executor.processes.layout import COMMAND
from executor.reads.feed import feed

from .screen import Screen, plain

REDRAW_INTERVAL = 1.0  # seconds, without updates
LINE_INTERVAL = 5.0  # seconds between lines where there is no terminal
RATE_WINDOW = 10.0  # seconds

OVER = (BatchState.FINISHED, BatchState.STOPPED)
DONE, FAILED, NOT_FINISHED, INTERRUPTED = 0, 1, 3, 130


def watch(screen: Screen, batch_id: str) -> int:
    """Follow a batch until it ends, and return the exit code.

    Raises NotFound.
    """
    show = _jsonl(screen) if screen.as_json else _bar(screen) if screen.out.is_terminal else _lines(screen)
    try:
        batch = asyncio.run(_follow(batch_id, show))
    except KeyboardInterrupt:
        screen.note(f"No longer watching. The batch goes on: {COMMAND} batch watch --batch {batch_id}")
        return INTERRUPTED
    finally:
        show(None)
    if not screen.as_json:
        screen.say(sentence(batch))
    return exit_code(batch)


def exit_code(batch: dict) -> int:
    """Return 0 for a finished batch, 1 for one with failed tasks, 3 for one that is not finished."""
    if batch["state"] != BatchState.FINISHED:
        return NOT_FINISHED
    return FAILED if batch["request_counts"][TaskStatus.FAILED] else DONE


async def _follow(batch_id: str, show: Callable[[dict | None], None]) -> dict:
    batch = None
    async with feed().watch(batch_id) as watcher:
        while True:
            update = await watcher.next(REDRAW_INTERVAL)
            if update is not None:
                batch = update.batch
            if batch is not None:
                show(batch)
                if batch["state"] in OVER:
                    return batch


class Rate:
    """The rate of finished tasks per second over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, done: int) -> float | None:
        now = time.monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_WINDOW:
            self._seen.popleft()
        (start, before), seconds = self._seen[0], now - self._seen[0][0]
        return max(0, done - before) / seconds if seconds >= 0.5 and start < now else None


def _done(batch: dict) -> int:
    return sum(batch["request_counts"][status] for status in FINAL)


def _counts(batch: dict) -> str:
    counts = batch["request_counts"]
    return " ".join(f"{counts[status]:,} {status}" for status in counts if counts[status]) or "no tasks"


def _outlook(batch: dict, rate: float | None) -> str:
    """Return the rate and the remaining time.

    The time is estimated from the recent rate: the average since the start includes pauses.
    """
    if batch["state"] != BatchState.RUNNING:
        return batch["state"]
    left = sum(batch["request_counts"].values()) - _done(batch)
    parts = [f"{rate:,.1f}/s"] if rate is not None else []
    seconds = left / rate if rate else batch["stats"]["estimated_time_remaining"]
    if seconds is not None and left:
        parts.append(f"{whole_duration(seconds)} left")
    return ", ".join(parts)


def _bar(screen: Screen) -> Callable[[dict | None], None]:
    rate = Rate()
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[counts]}", markup=False),
        TextColumn("{task.fields[outlook]}", markup=False),
        TimeElapsedColumn(),
        console=screen.out,
        expand=True,
    )
    bar = progress.add_task("", total=None, counts="", outlook="")
    progress.start()

    def show(batch: dict | None) -> None:
        if batch is None:
            progress.stop()
            return
        progress.update(
            bar,
            description=str(plain(batch["name"] or batch["batch_id"][:8]))[:30],
            completed=_done(batch),
            total=batch["stats"]["total_tasks"] or None,
            counts=_counts(batch),
            outlook=_outlook(batch, rate(_done(batch))),
        )

    return show


def _lines(screen: Screen) -> Callable[[dict | None], None]:
    rate, due = Rate(), 0.0

    def show(batch: dict | None) -> None:
        nonlocal due
        if batch is None:
            return
        pace = rate(_done(batch))
        if time.monotonic() >= due or batch["state"] in OVER:
            due = time.monotonic() + LINE_INTERVAL
            percent = f"{batch['stats']['progress_percentage']:g} %"
            screen.say("  ".join(filter(None, [percent, _counts(batch), _outlook(batch, pace)])))

    return show


def _jsonl(screen: Screen) -> Callable[[dict | None], None]:
    last = None

    def show(batch: dict | None) -> None:
        nonlocal last
        if batch is not None and batch != last:
            last = batch
            screen.json(batch)

    return show
