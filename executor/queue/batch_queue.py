"""BatchQueue: the only writer of task and batch status.

A BatchQueue is one transaction over some batches, all of them locked. Its verbs move many tasks at once; each move is
a guarded statement, is counted, and is noted in the batch's frame. What must happen in Redis after the commit is left
in `issued` and `withdrawn`; `executor.queue.dispatch` carries it out.

    with BatchQueue([batch_id]) as queue:
        queue.start(batch_id, max_concurrent=5)
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, QuerySet, Sum

from executor.db.dialect import ROWS_A_STATEMENT, among, hex_of, insert, not_among, table_of, time_of, time_param, turn
from executor.db.failpoints import failpoint
from executor.db.statements import execute, query
from executor.domain.errors import Conflict, NotFound
from executor.domain.messages import Claimed, Outcome, Progress, Ticket, Waiting
from executor.domain.new_task import NEW_TASK_COLUMNS, NewTask
from executor.domain.states import FINAL, MOVES, BatchState, Priority, TaskStatus
from executor.models import BatchTask, TaskAttempt

from .locked_batch import QUEUED_OF, Book, open_books

RETRY_CAP = 300.0  # seconds; no backoff is longer
CALLS = 2  # tickets of one batch and priority that wait for a worker; one may be lost
WISH_CAP = 366 * 86_400.0  # seconds; no pause that an error asked for is longer

_BEST_FIRST = sorted(Priority, reverse=True)
_TASK = "executor_batchtask"
# What every new task begins with.
_FIRST_VALUES = {
    "status": TaskStatus.QUEUED.value,
    "retry_count": 0,
    "attempt": 0,
    "worker": "",
    "error": "",
    "error_kind": "",
}
_NEW = (*NEW_TASK_COLUMNS, "batch_id", "number", "created_at", *_FIRST_VALUES)

_NEXT = f"""
    SELECT task_id, attempt, priority, number FROM {_TASK}
    WHERE batch_id = %s AND status = 'queued' AND dispatched_at IS NULL AND run_after IS NULL
    ORDER BY priority DESC, number LIMIT %s
"""
_NEXT_OF = f"""
    SELECT task_id, attempt, priority, number FROM {_TASK}
    WHERE batch_id = %s AND priority = %s AND status = 'queued' AND dispatched_at IS NULL AND run_after IS NULL
    ORDER BY number LIMIT %s
"""
_TICKETS_OUT = f"""
    SELECT priority, count(*) AS tickets FROM {_TASK}
    WHERE batch_id = %s AND status = 'queued' AND dispatched_at IS NOT NULL GROUP BY priority
"""
# Both at once: rows without a task say how many tickets of a priority are out.
_NEXT_AND_OUT = f"""
    SELECT NULL, tickets, priority, 0 FROM ({_TICKETS_OUT}) AS called UNION ALL SELECT * FROM ({_NEXT}) AS following
"""
_HOW_MANY = f"""
    SELECT count(*) FROM (
        SELECT 1 FROM {_TASK}
        WHERE batch_id = %s AND priority = %s AND status = 'queued' AND dispatched_at IS NULL AND run_after IS NULL
        LIMIT %s
    ) AS waiting
"""
_BETTER = f"""
    SELECT task_id, attempt, priority, number FROM {_TASK}
    WHERE batch_id = %s AND status = 'queued' AND run_after IS NULL AND dispatched_at IS {{ticket}}
      AND priority > %s AND task_id {{not_among}}
    ORDER BY priority DESC, number LIMIT %s
"""
_TICKETED = f"""
    SELECT task_id, attempt, priority, number FROM {_TASK}
    WHERE task_id {{among}} AND batch_id = %s AND status = 'queued' AND run_after IS NULL
"""
_DISPATCH = f"""
    UPDATE {_TASK} SET dispatched_at = %s
    WHERE task_id {{among}} AND status = 'queued' AND dispatched_at IS NULL AND run_after IS NULL
"""
_WITHDRAW = f"UPDATE {_TASK} SET dispatched_at = NULL WHERE task_id {{among}} AND status = 'queued'"
_CLAIM = f"""
    UPDATE {_TASK}
    SET status = 'running', attempt = attempt + 1, worker = %s, started_at = %s, dispatched_at = NULL, progress = NULL
    WHERE task_id {{among}} AND status = 'queued' AND run_after IS NULL
    RETURNING task_id, number, attempt, priority, function, params, timeout, retry_count, max_retries, name,
              custom_id, created_at
"""
_COMPLETE = f"""
    WITH outcome(task_id, attempt, result, execution_time) AS ({{outcomes}})
    UPDATE {_TASK}
    SET status = 'completed', result = outcome.result, execution_time = outcome.execution_time, completed_at = %s,
        error = '', error_kind = '', progress = NULL
    FROM outcome
    WHERE {_TASK}.task_id = outcome.task_id AND {_TASK}.attempt = outcome.attempt AND {_TASK}.worker = %s
      AND {_TASK}.status = 'running' AND {_TASK}.cancel_requested_at IS NULL
    RETURNING {_TASK}.task_id, number, {_TASK}.attempt, priority, started_at
"""
_HELD = f"""
    SELECT task_id, number, attempt, priority, started_at, retry_count, max_retries, retry_delay,
           cancel_requested_at IS NOT NULL
    FROM {_TASK} WHERE task_id {{among}} AND worker = %s AND status = 'running'
"""
_END = f"""
    WITH ended(task_id, attempt, status, worker, retry_count, run_after, error, error_kind, execution_time,
               completed_at) AS ({{ended}})
    UPDATE {_TASK}
    SET status = ended.status, worker = ended.worker, retry_count = ended.retry_count, run_after = ended.run_after,
        error = ended.error, error_kind = ended.error_kind, execution_time = ended.execution_time,
        completed_at = ended.completed_at, progress = NULL, cancel_requested_at = NULL
    FROM ended
    WHERE {_TASK}.task_id = ended.task_id AND {_TASK}.attempt = ended.attempt AND {_TASK}.worker = %s
      AND {_TASK}.status = 'running'
"""
_ENDED = ("uuid", "integer", "text", "text", "integer", "timestamptz", "text", "text", "float8", "timestamptz")


def _stored(task: NewTask) -> tuple:
    """Return the values of NEW_TASK_COLUMNS as the database takes them."""
    return (hex_of(task.task_id), *task[1:-1], time_param(task.run_after))


class BatchQueue:
    """One transaction over locked batches, and the verbs that move their tasks.

    For a `worker` it knows when that was heard of last: `heard_at`, None when it is dead or gone.
    """

    def __init__(self, batch_ids: Iterable[str], worker: str = ""):
        self.worker = worker
        self.heard_at: datetime | None = None
        self.batch_ids = [hex_of(batch_id) for batch_id in batch_ids]
        self.books: dict[str, Book] = {}
        self.issued: list[Ticket] = []  # to be pushed after the commit
        self.withdrawn: list[Ticket] = []  # to be taken back after the commit
        self.added = 0  # tasks
        self._new: dict[str, list[Waiting]] = defaultdict(list)  # of those, per batch, the ones that may go at once
        self.changed: dict[str, int] = {}  # batch → its last frame, for those that changed

    def __enter__(self) -> BatchQueue:
        self._transaction = self._locked()
        return self._transaction.__enter__()

    def __exit__(self, *error) -> bool | None:
        return self._transaction.__exit__(*error)

    @contextmanager
    def _locked(self) -> Iterator[BatchQueue]:
        with turn(), transaction.atomic():
            self.books, self.heard_at = open_books(self.batch_ids, self.worker)
            yield self
            for book in self.books.values():
                if book.close():
                    self.changed[book.batch_id] = book.counters["seq"]

    @property
    def now(self) -> datetime:
        """The database's time when the batches were locked. There must be one."""
        return next(iter(self.books.values())).now

    def book(self, batch_id) -> Book:
        """The open book of a batch.

        Raises NotFound.
        """
        try:
            return self.books[hex_of(batch_id)]
        except KeyError:
            raise NotFound(f"There is no batch {batch_id}.", fix="`GET /api/batches` lists what exists.") from None

    # --- taking in -------------------------------------------------------------------------------

    def add(self, batch_id, tasks: Sequence[NewTask]) -> list[int]:
        """Store new tasks at the end of the batch, all of them or none; their numbers in order."""
        book = self.book(batch_id)
        first = book.counters["last_number"] + 1
        rest = (time_param(book.now), *_FIRST_VALUES.values())
        rows = ((*_stored(task), book.batch_id, number, *rest) for number, task in enumerate(tasks, first))
        insert(_TASK, _NEW, rows)
        failpoint("add-uncommitted")
        for number, task in enumerate(tasks, first):
            book.enters(TaskStatus.QUEUED, task.priority)
            book.note(number, TaskStatus.QUEUED, 0)
            if len(tasks) <= CALLS and task.run_after is None:
                self._new[book.batch_id].append(Waiting(task.task_id.hex, 0, task.priority, number))
        book.counters["last_number"] += len(tasks)
        self.added += len(tasks)
        return list(range(first, first + len(tasks)))

    # --- the batch -------------------------------------------------------------------------------

    def start(self, batch_id, max_concurrent: int | None = None) -> Book:
        """Let the batch's tasks run. A batch whose tasks are all over stays finished.

        Raises Conflict when it has no tasks.
        """
        book = self.book(batch_id)
        if not book.counters["total_tasks"]:
            raise Conflict("The batch has no tasks yet.", fix="Add tasks first.")
        if max_concurrent is not None:
            book.max_concurrent = max_concurrent
        if book.counters["queued"] or book.counters["running"]:
            book.state, book.stop_forced = BatchState.RUNNING, False
            book.start_time = book.start_time or book.now
        return book

    def stop(self, batch_id, force: bool = False) -> Book:
        """Start nothing more of this batch; with `force`, kill and release what runs.

        Tickets that are out are taken back, so that a later start issues them anew.
        """
        book = self.book(batch_id)
        if book.state in (BatchState.RUNNING, BatchState.STOPPING):
            book.state = BatchState.STOPPING
            book.stop_forced = book.stop_forced or force
        self._withdraw(book, BatchTask.objects.filter(batch_id=batch_id))
        return book

    def limit(self, batch_id, max_concurrent: int) -> Book:
        """Change how many of the batch's tasks may run at once. A lower limit binds from the next claim on."""
        book = self.book(batch_id)
        book.max_concurrent = max_concurrent
        return book

    # --- what goes next --------------------------------------------------------------------------

    def due_tickets(self, book: Book) -> list[Waiting]:
        """The tasks whose tickets should go out now, best first.

        A ticket calls a worker that has nothing to do; who comes takes what else waits along. So a few of each
        priority are enough, and no more than the slots which nothing of the same or a higher priority may take.
        """
        if book.free <= 0 or not book.counters["queued"]:
            return []
        new = self._new[book.batch_id]
        if len(new) == len(book.changes) == book.counters["queued"] and not book.touched:
            # Nothing else happened in this transaction, and nothing else waits: no need to look.
            return sorted(new, key=_rank)[: book.free]
        chosen: list[Waiting] = []
        ahead = 0
        waiting = [priority for priority in _BEST_FIRST if book.counters[QUEUED_OF[priority]]]
        out = dict(query(_TICKETS_OUT, [book.batch_id]))
        for priority in waiting:
            room = book.free - ahead
            if room <= 0:
                break
            if (wanted := min(CALLS, room) - out.get(priority, 0)) > 0:
                chosen += _waiting(query(_NEXT_OF, [book.batch_id, priority, wanted]))
            if priority != waiting[-1]:
                [(count,)] = query(_HOW_MANY, [book.batch_id, priority, room])
                ahead += out.get(priority, 0) + count
        return chosen

    def next(self, book: Book, limit: int) -> list[Waiting]:
        """Up to `limit` tasks that may get a slot now, best first: no more than the slots which neither a running task
        nor a ticket of the same or a higher priority takes."""
        wanted = min(limit, book.free)
        if wanted <= 0 or not book.counters["queued"]:
            return []
        rows = query(_NEXT_AND_OUT, [book.batch_id, book.batch_id, wanted])
        out = [(priority, count) for task_id, count, priority, _ in rows if task_id is None]
        following = _waiting(row for row in rows if row[0] is not None)
        chosen: list[Waiting] = []
        for task in sorted(following, key=_rank):  # a union promises no order
            ahead = sum(count for priority, count in out if priority >= task.priority)
            if ahead + len(chosen) >= book.free:
                break
            chosen.append(task)
        return chosen

    def dispatch(self, book: Book, tasks: Sequence[Waiting]) -> None:
        """Mark that these tasks' tickets are out, and leave the tickets to be issued after the commit."""
        if not tasks:
            return
        for chunk in _chunks([task.task_id for task in tasks]):
            condition, ids = among(chunk)
            execute(_DISPATCH.format(among=condition), [time_param(book.now), *ids])
        self.issued += [Ticket(task.task_id, task.attempt + 1, book.batch_id, task.priority) for task in tasks]

    def redeem(self, tickets: Sequence[Ticket], worker: str) -> list[Claimed]:
        """Claim what these tickets are for.

        A ticket whose attempt is not the task's next is stale and dropped. A ticket for which there is no slot goes
        back. Where a task of higher priority waits, it takes the slot of a lower one that came with a ticket: so a
        late CRITICAL starts with the next free slot, wherever its own ticket is.
        """
        claimed: list[Claimed] = []
        for batch_id, group in _by_batch(tickets).items():
            book = self.books.get(batch_id)
            if book is None:
                continue
            valid = self._valid(book, group)
            chosen = self.best(book, valid, max(0, min(book.free, len(valid))))
            kept = {task.task_id for task in chosen}
            refused = [task.task_id for task in valid if task.task_id not in kept]
            if refused:
                condition, ids = among(refused)
                execute(_WITHDRAW.format(among=condition), ids)
            claimed += self.claim(book, chosen, worker)
        return claimed

    def take(
        self,
        slots: int,
        worker: str,
        priorities: Container[int] = tuple(Priority),
        leaving: Container[str] = (),
    ) -> list[Claimed]:
        """Claim for up to so many more slots what waits without a ticket: the best first, of all these batches in turn
        but those that are left to others."""
        coming: list[tuple[int, int, str, Waiting]] = []
        for batch_id, book in self.books.items():
            if batch_id in leaving:
                continue
            tasks = self.next(book, slots)
            best = self.best(book, tasks, len(tasks))
            coming += [(-task.priority, place, batch_id, task) for place, task in enumerate(best)]
        if len(self.books) > 1:
            coming.sort()
        chosen: dict[str, list[Waiting]] = defaultdict(list)
        for _, _, batch_id, task in coming[:slots]:
            if task.priority in priorities:
                chosen[batch_id].append(task)
        return [task for batch_id, tasks in chosen.items() for task in self.claim(self.books[batch_id], tasks, worker)]

    def best(self, book: Book, tasks: list[Waiting], slots: int) -> list[Waiting]:
        """The best for so many slots: of these tasks, which come best first, or of those that wait with a higher
        priority, wherever their tickets are. A worker that died may have had them."""
        if slots and tasks and book.waits_above(tasks[-1].priority):
            tasks = sorted(tasks + self._better(book, tasks), key=_rank)
        return tasks[:slots]

    def claim(self, book: Book, tasks: Sequence[Waiting], worker: str) -> list[Claimed]:
        """Give these tasks to a worker: queued → running, attempt + 1. The batch's lock makes the limit hold."""
        if not tasks:
            return []
        assert len(tasks) <= book.free
        rows: dict[str, tuple] = {}
        for chunk in _chunks([task.task_id for task in tasks]):
            condition, ids = among(chunk)
            claims = query(_CLAIM.format(among=condition), [worker, time_param(book.now), *ids])
            rows |= {hex_of(row[0]): row for row in claims}
        claimed = []
        # In the order they were given, which the database does not keep: it is the order in which they will start.
        for task_id in [task.task_id for task in tasks if task.task_id in rows]:
            row = rows[task_id]
            task = Claimed(task_id, book.batch_id, *row[1:-1], book.owner)
            book.leaves(TaskStatus.QUEUED, task.priority)
            book.enters(TaskStatus.RUNNING, task.priority)
            if task.attempt == 1:
                book.counters["started"] += 1
                book.counters["total_wait_time"] += max(0.0, (book.now - time_of(row[-1])).total_seconds())
            book.note(task.number, TaskStatus.RUNNING, task.attempt, worker, book.now)
            claimed.append(task)
        return claimed

    # --- outcomes --------------------------------------------------------------------------------

    def settle(self, outcomes: Sequence[Outcome], worker: str) -> int:
        """Record how attempts of this worker ended; how many were accepted.

        An outcome whose attempt or worker is not the claim's any more is stale: it changes nothing.
        """
        accepted = 0
        for batch_id, group in _by_batch(outcomes).items():
            book = self.books.get(batch_id)
            if book is None:
                continue
            done = [outcome for outcome in group if outcome.status == TaskStatus.COMPLETED and not outcome.released]
            finished = self._complete(book, done, worker)
            # A completed one that was not accepted may have been cancelled meanwhile: the cancel wins.
            rest = [outcome for outcome in group if outcome.task_id not in finished]
            accepted += len(finished) + self._end(book, rest, worker)
        return accepted

    def report(self, told: Sequence[Progress], worker: str) -> None:
        """Keep what running attempts of this worker say about their progress."""
        for batch_id, group in _by_batch(told).items():
            book = self.books.get(batch_id)
            latest = {} if book is None else {progress.task_id: progress for progress in group}
            for task_id, progress in latest.items():
                running = BatchTask.objects.filter(
                    task_id=task_id, attempt=progress.attempt, worker=worker, status=TaskStatus.RUNNING
                )
                if running.update(progress=progress.value):
                    number, started_at = running.values_list("number", "started_at").get()
                    book.note(number, TaskStatus.RUNNING, progress.attempt, worker, started_at, progress=progress.value)

    def _complete(self, book: Book, outcomes: list[Outcome], worker: str) -> set[str]:
        if not outcomes:
            return set()
        by_attempt = {(outcome.task_id, outcome.attempt): outcome for outcome in outcomes}
        rows = [(each.task_id, each.attempt, each.result, each.execution_time) for each in by_attempt.values()]
        outcomes, values = table_of(rows, ("uuid", "integer", "text", "float8"))
        accepted = query(_COMPLETE.format(outcomes=outcomes), [*values, time_param(book.now), worker])
        finished = set()
        for task_id, number, attempt, priority, started_at in accepted:
            outcome = by_attempt[hex_of(task_id), attempt]
            finished.add(outcome.task_id)
            book.leaves(TaskStatus.RUNNING, priority)
            book.enters(TaskStatus.COMPLETED, priority, outcome.execution_time)
            started = time_of(started_at)
            book.note(number, TaskStatus.COMPLETED, attempt, worker, started, outcome.execution_time)
        return finished

    def _end(self, book: Book, outcomes: list[Outcome], worker: str) -> int:
        """Failed, released and cancelled attempts: back to the queue or to a final status."""
        if not outcomes:
            return 0
        by_attempt = {(outcome.task_id, outcome.attempt): outcome for outcome in outcomes}
        ids = sorted({task_id for task_id, _ in by_attempt})
        updates, attempts = [], []
        condition, parameters = among(ids)
        held = query(_HELD.format(among=condition), [*parameters, worker])
        for task_id, number, attempt, priority, started_at, retries, allowed, delay, cancel in held:
            outcome = by_attempt.get((hex_of(task_id), attempt))
            if outcome is None or (outcome.status == TaskStatus.COMPLETED and not cancel):
                continue
            started, retry_in, run_after = time_of(started_at), None, None
            error, kind = outcome.error, outcome.error_kind
            if cancel or outcome.status == TaskStatus.CANCELLED:
                status, error, kind = TaskStatus.CANCELLED, error or "Cancelled while it ran.", "cancelled"
            elif outcome.released:
                status, retry_in = TaskStatus.QUEUED, outcome.retry_after
                run_after = book.now + timedelta(seconds=retry_in) if retry_in else None
            elif outcome.retryable and retries < allowed:
                status, retries = TaskStatus.QUEUED, retries + 1
                retry_in = _pause(outcome.retry_after, delay, retries)
                run_after = book.now + timedelta(seconds=retry_in) if retry_in > 0 else None
                book.counters["retries"] += 1
            else:
                status = TaskStatus.FAILED
            final = status in FINAL
            spent = outcome.execution_time if status == TaskStatus.FAILED else None
            row = (status, worker if final else "", retries, time_param(run_after), error, kind, spent)
            updates.append((outcome.task_id, attempt, *row, time_param(book.now) if final else None))
            word = "released" if outcome.released else "cancelled" if kind == "cancelled" else "failed"
            attempts.append(
                TaskAttempt(
                    task_id=task_id,
                    number=attempt,
                    outcome=word,
                    error_kind=kind,
                    error=error,
                    traceback=outcome.traceback,
                    output=outcome.output,
                    worker=worker,
                    started_at=started,
                    ended_at=book.now,
                )
            )
            book.leaves(TaskStatus.RUNNING, priority)
            book.enters(status, priority, spent)
            book.note(number, status, attempt, worker, started, outcome.execution_time, retry_in, error)
        for chunk in _chunks(updates):
            ended, values = table_of(chunk, _ENDED)
            execute(_END.format(ended=ended), [*values, worker])
        if attempts:
            TaskAttempt.objects.bulk_create(attempts, ignore_conflicts=True)
        return len(updates)

    # --- what people and agents ask for ----------------------------------------------------------

    def cancel(self, batch_id, tasks: QuerySet) -> tuple[int, int]:
        """Cancel the queued ones among these tasks, and ask for the running ones to be killed; how many of each."""
        book = self.book(batch_id)
        queued = list(tasks.filter(status=TaskStatus.QUEUED).values_list(*_BRIEF))
        self._move(
            book,
            queued,
            TaskStatus.QUEUED,
            TaskStatus.CANCELLED,
            completed_at=book.now,
            run_after=None,
            dispatched_at=None,
            error="Cancelled before it started.",
            error_kind="cancelled",
        )
        self.withdrawn += [Ticket(hex_of(row[0]), row[3] + 1, book.batch_id, row[2]) for row in queued if row[5]]
        running = tasks.filter(status=TaskStatus.RUNNING, cancel_requested_at=None)
        return len(queued), running.update(cancel_requested_at=book.now)

    def retry(self, batch_id, tasks: QuerySet) -> int:
        """Queue failed and cancelled tasks again with all their retries; how many.

        A finished batch goes on running; a stopped or open one waits for its start.
        """
        book = self.book(batch_id)
        count = 0
        for old in MOVES["retry"].sources:
            rows = list(tasks.filter(status=old).values_list(*_BRIEF))
            self._move(
                book,
                rows,
                old,
                TaskStatus.QUEUED,
                retry_count=0,
                run_after=None,
                completed_at=None,
                started_at=None,
                execution_time=None,
                result=None,
                error="",
                error_kind="",
                worker="",
                cancel_requested_at=None,
            )
            count += len(rows)
        if count and book.state == BatchState.FINISHED:
            book.state = BatchState.RUNNING
            book.start_time = book.start_time or book.now
        return count

    def prioritise(self, batch_id, tasks: QuerySet, priority: int) -> int:
        """Give queued tasks another priority; how many. Their tickets are issued anew on its queue."""
        book = self.book(batch_id)
        tasks = tasks.filter(status=TaskStatus.QUEUED).exclude(priority=priority)
        self._withdraw(book, tasks)
        before = tasks.order_by().values("priority").annotate(count=Count("pk"))
        for row in before:
            book.counters[QUEUED_OF[row["priority"]]] -= row["count"]
            book.counters[QUEUED_OF[priority]] += row["count"]
        count = sum(row["count"] for row in before)
        tasks.update(priority=priority)
        book.touched = book.touched or bool(count)
        return count

    def clear(self, batch_id, tasks: QuerySet) -> int:
        """Delete the final ones among these tasks; how many."""
        book = self.book(batch_id)
        rows = list(tasks.filter(status__in=FINAL).values_list(*_BRIEF, "status"))
        for chunk in _chunks(rows):
            ids = [row[0] for row in chunk]
            TaskAttempt.objects.filter(task_id__in=ids)._raw_delete(using="default")
            BatchTask.objects.filter(task_id__in=ids, status__in=FINAL)._raw_delete(using="default")
        for _, number, priority, attempt, spent, _, status in rows:
            book.leaves(status, priority, spent)
            book.note(number, None, attempt)
        if rows and book.counters["total_tasks"]:
            left = BatchTask.objects.filter(batch_id=batch_id, status__in=FINAL)
            # Sums of floats drift when parts are taken out; this is the one place where the rows are cheap to ask.
            book.counters["total_execution_time"] = left.aggregate(sum=Sum("execution_time"))["sum"] or 0.0
        elif rows:
            book.counters["total_execution_time"] = 0.0
        return len(rows)

    # --- repair ----------------------------------------------------------------------------------

    def make_due(self, batch_id) -> int:
        """Let tasks go whose time has come; how many."""
        book = self.book(batch_id)
        due = BatchTask.objects.filter(batch_id=batch_id, status=TaskStatus.QUEUED, run_after__lte=book.now)
        return due.update(run_after=None)

    def reissue(self, batch_id, lost: Sequence[str]) -> None:
        """Take back tickets that were lost, so that they are issued again."""
        self.book(batch_id)
        for chunk in _chunks(lost):
            condition, ids = among(chunk)
            execute(_WITHDRAW.format(among=condition), ids)

    # --- shared ----------------------------------------------------------------------------------

    def _valid(self, book: Book, tickets: Sequence[Ticket]) -> list[Waiting]:
        """The tasks of those tickets that are for the next attempt of a queued task, best first."""
        attempts = {(ticket.task_id, ticket.attempt) for ticket in tickets}
        condition, ids = among(sorted({task_id for task_id, _ in attempts}))
        rows = _waiting(query(_TICKETED.format(among=condition), [*ids, book.batch_id]))
        valid = [task for task in rows if (task.task_id, task.attempt + 1) in attempts]
        return sorted(valid, key=_rank)

    def _better(self, book: Book, valid: Sequence[Waiting]) -> list[Waiting]:
        """Waiting tasks of a higher priority than the lowest of these."""
        condition, ids = not_among([task.task_id for task in valid])
        parameters = [book.batch_id, valid[-1].priority, *ids, len(valid)]
        tickets = ("NULL", "NOT NULL")  # each is served by an index of its own
        statements = (_BETTER.format(ticket=ticket, not_among=condition) for ticket in tickets)
        return [task for statement in statements for task in _waiting(query(statement, parameters))]

    def _withdraw(self, book: Book, tasks: QuerySet) -> None:
        """Take back the tickets of the queued ones among these tasks."""
        out = tasks.filter(status=TaskStatus.QUEUED, dispatched_at__isnull=False)
        rows = list(out.values_list("task_id", "attempt", "priority"))
        self.withdrawn += [Ticket(hex_of(row[0]), row[1] + 1, book.batch_id, row[2]) for row in rows]
        if rows:
            out.update(dispatched_at=None)

    def _move(self, book: Book, rows: list[tuple], old: str, new: str, **changes) -> None:
        """Move tasks, as `_BRIEF` read them under the lock, from one status to another."""
        for chunk in _chunks(rows):
            moved = BatchTask.objects.filter(task_id__in=[row[0] for row in chunk], status=old)
            moved.update(status=new, **changes)
        for _, number, priority, attempt, spent, _ in rows:
            book.leaves(old, priority, spent)
            book.enters(new, priority)
            book.note(number, new, attempt, error=changes.get("error"))


_BRIEF = ("task_id", "number", "priority", "attempt", "execution_time", "dispatched_at")


def _by_batch(items: Iterable) -> dict[str, list]:
    groups: dict[str, list] = defaultdict(list)
    for item in items:
        groups[item.batch_id].append(item)
    return groups


def _waiting(rows: Iterable[tuple]) -> list[Waiting]:
    return [Waiting(hex_of(task_id), *rest) for task_id, *rest in rows]


def _rank(task: Waiting) -> tuple[int, int]:
    return -task.priority, task.number


def _chunks(rows: Sequence) -> Iterable[Sequence]:
    return (rows[start : start + ROWS_A_STATEMENT] for start in range(0, len(rows), ROWS_A_STATEMENT))


def _pause(wished: float | None, delay: float, retry: int) -> float:
    """Seconds before the n-th retry: what the error asked for, if that is a number at all, or the backoff."""
    if isinstance(wished, int | float) and wished == wished:  # NaN is not
        return float(min(max(wished, 0), WISH_CAP))
    return _backoff(delay, retry)


def _backoff(delay: float, retry: int) -> float:
    """Seconds before the n-th retry: exponential with full jitter, so that tasks which failed together come back
    apart."""
    return random.uniform(0.0, min(RETRY_CAP, delay * 2 ** min(retry - 1, 20))) if delay > 0 else 0.0
