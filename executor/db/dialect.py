"""What differs between SQLite and PostgreSQL when the hot path speaks SQL itself.

Ids travel as 32 hex digits: the text of a ticket, the value in SQLite, and a literal that PostgreSQL reads as a uuid.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from uuid import UUID

from django.db import connection
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from .statements import execute, is_postgresql, query

try:
    import fcntl
except ImportError:  # no such locks on this system: SQLite's own waiting does
    fcntl = None

ROWS_A_STATEMENT = 500  # SQLite takes no more than 32,766 values
FEW_ROWS = 10  # as many go into one statement on PostgreSQL; a stream takes two round trips

PATIENCE = 5.0  # seconds that a writer waits in line before it asks SQLite itself

_local = threading.local()
_decision = threading.Lock()
_stuck = 0  # threads of this process that still stand in a line which did not move for so long


@contextmanager
def turn() -> Iterator[None]:
    """Wait in line for the right to write, before a transaction is begun.

    SQLite lets one writer in and has the others look again after pauses that grow to a tenth of a second. A lock file
    wakes the next one at once. It only orders the writers: what keeps them apart is still SQLite's own lock.
    """
    if fcntl is None or is_postgresql() or connection.in_atomic_block:
        yield
        return
    path = str(connection.settings_dict["NAME"])
    if ":memory:" in path or "mode=memory" in path:
        yield
        return
    if getattr(_local, "path", None) != path:
        _local.path, _local.file = path, open(f"{path}-turn", "wb")  # noqa: SIM115 - kept as long as the thread
    file = _local.file
    if not _comes_up(file):
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _comes_up(file) -> bool:
    """Wait for one's turn; False when it does not come. Whoever was frozen with the lock in its hand must not hold up
    all others without an end: SQLite's own lock then says that the database is locked."""
    global _stuck
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        if _stuck:
            return False  # one of us has waited in vain, and that is enough
    # A lock file knows no timeout: somebody else stands in line for us.
    came = threading.Event()
    decided: list[bool] = []

    def stand() -> None:
        global _stuck
        fcntl.flock(file, fcntl.LOCK_EX)
        with _decision:
            if decided:
                _stuck -= 1
                fcntl.flock(file, fcntl.LOCK_UN)
            decided.append(True)
        came.set()

    threading.Thread(target=stand, name="turn", daemon=True).start()
    came.wait(PATIENCE)
    with _decision:
        if not decided:
            _stuck += 1
            _local.path = None  # the file stays with the one who still stands in line
        decided.append(False)
    return decided[0]


def let_go() -> None:
    """Close this thread's connection before a long wait: a server has only so many. The next statement opens it."""
    if not connection.in_atomic_block:
        connection.close()


def end_frozen_transactions(seconds: float) -> None:
    """Have PostgreSQL end every transaction in which this thread says nothing for so long: whoever is frozen in the
    middle of one holds its locks, and nobody could rescue its tasks. SQLite has no such limit.

    To be called before the thread's first statement. Other threads, those of task functions too, take their time.
    """
    _local.frozen_after = seconds


@receiver(connection_created)
def _limit(connection, **_) -> None:
    seconds = getattr(_local, "frozen_after", None)
    if seconds and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = %s", [int(seconds * 1000)])


def database_now() -> datetime:
    """The database's clock, so that all hosts agree. SQLite's is the clock of the one host that it runs on."""
    if not is_postgresql():
        return datetime.now(UTC)
    return query("SELECT clock_timestamp()")[0][0]


def time_param(moment: datetime | None):
    """A moment as a parameter of raw SQL, which is what Django makes of it."""
    if moment is None or is_postgresql():
        return moment
    return str(moment.astimezone(UTC).replace(tzinfo=None))


def time_of(value) -> datetime | None:
    """A moment as raw SQL gives it back; SQLite's come without their zone, as text or not."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def hex_of(value: UUID | str) -> str:
    """An id as 32 hex digits."""
    return value.hex if isinstance(value, UUID) else str(value).replace("-", "")


def marks(values: Iterable) -> str:
    """`%s, %s, …`, one for each value."""
    return ", ".join("%s" for _ in values)


def insert(table: str, columns: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Insert rows. PostgreSQL reads many of them as a stream, several times as fast as from the text of a statement."""
    names = ", ".join(columns)
    mark = f"({marks(columns)})"
    ahead = iter(rows)
    while chunk := list(islice(ahead, ROWS_A_STATEMENT)):
        if is_postgresql() and len(chunk) > FEW_ROWS:
            _stream(table, names, chain(chunk, ahead))
            return
        values = [value for row in chunk for value in row]
        execute(f"INSERT INTO {table} ({names}) VALUES {', '.join([mark] * len(chunk))}", values)


def _stream(table: str, names: str, rows: Iterable[Sequence]) -> None:
    # Django knows nothing of COPY, so that its errors have to be made Django's here.
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN") as stream,
    ):
        for row in rows:
            stream.write_row(row)


def among(ids: Sequence[str]) -> tuple[str, list]:
    """The condition of being one of these ids, and its parameters. On PostgreSQL its text is always the same."""
    if is_postgresql():
        return "= ANY(%s::uuid[])", [list(ids)]
    return f"IN ({marks(ids)})", list(ids)


def not_among(ids: Sequence[str]) -> tuple[str, list]:
    """The condition of being none of these ids, and its parameters."""
    if is_postgresql():
        return "<> ALL(%s::uuid[])", [list(ids)]
    return f"NOT IN ({marks(ids)})", list(ids)


def note_growth(table: str) -> None:
    """Have PostgreSQL look at a table that has just grown by much. It plans by statistics which its own housekeeping
    renews once a minute at best; until then it takes the table for a small one, and reads and sorts all of a batch for
    every claim and page."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {table}")


def table_of(rows: Sequence[Sequence], types: tuple[str, ...]) -> tuple[str, list]:
    """Rows of values as a table to select from, and its parameters. There must be a row."""
    if is_postgresql():
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        return f"SELECT * FROM unnest({arrays})", [list(column) for column in zip(*rows, strict=True)]
    row = f"({marks(types)})"
    return f"VALUES {', '.join([row] * len(rows))}", [value for row in rows for value in row]
