"""results, export and lists: pages, filters, formats, and searches in large batches."""

import csv
import io
from datetime import datetime
from itertools import count

import orjson
import pytest
from django.db import connection

from executor.domain.errors import BadRequest, NotFound
from executor.models import Batch
from executor.reads.batches import list_batches
from executor.reads.columns import RESULT_COLUMNS
from executor.reads.results import list_results
from executor.reads.task_filter import TaskFilter
from executor.reads.tasks import list_tasks
from tests.factories import FakeWorker, add_tasks, cancel, make_batch, start, stop

PROMISED_FIELDS = {
    "task_id", "number", "custom_id", "name", "function", "priority", "status", "result", "error", "retry_count",
    "max_retries", "attempt", "created_at", "started_at", "completed_at", "execution_time", "worker",
}  # fmt: skip


@pytest.fixture
def mixed(db) -> Batch:
    """Return a batch of 12 tasks: four completed, two failed, two running, one cancelled, three queued."""
    batch, worker = make_batch("Mixed", max_concurrent=8), FakeWorker()
    for number in range(1, 13):
        add_tasks(batch, custom_id=f"row-{number}", name=f"=name {number}", max_retries=0, priority=2)
    start(batch)
    held = worker.claim(batch)
    worker.complete(held[0], result='{"text": "=1+1", "list": [1, null]}')
    worker.complete(held[1], result='"-5 is text"')
    worker.complete(held[2], result="-5")
    worker.complete(held[3], result="null")
    worker.fail(held[4], error="@broken\nsecond line")
    worker.fail(held[5])
    cancel(batch.tasks.get(number=9))
    worker.release(*worker.claim(batch))
    stop(batch)
    assert list(batch.tasks.order_by("number").values_list("status", flat=True)) == [
        *["completed"] * 4, *["failed"] * 2, *["running"] * 2, "cancelled", *["queued"] * 3,
    ]  # fmt: skip
    return batch


def _numbers(data) -> list[int]:
    return [row["number"] for row in data["results"]]


def test_results_are_available_at_any_time_in_order(execute, mixed):
    rows = execute("results", batch="Mixed").data["results"]
    assert [row["number"] for row in rows] == list(range(1, 13))
    assert set(rows[0]) >= PROMISED_FIELDS
    assert rows[0]["result"] == {"text": "=1+1", "list": [1, None]}
    assert (rows[4]["status"], rows[4]["error"], rows[4]["result"]) == ("failed", "@broken\nsecond line", None)
    assert (rows[0]["priority"], rows[0]["custom_id"], rows[0]["attempt"]) == ("medium", "row-1", 1)
    for name in ("created_at", "started_at", "completed_at"):
        assert rows[0][name].endswith("Z") and datetime.fromisoformat(rows[0][name])


@pytest.mark.parametrize("limit", [1, 5, 12, 13])
def test_pages_have_no_gap_and_no_overlap(execute, mixed, limit):
    seen, cursor = [], None
    for _ in range(20):
        data = execute("results", batch="Mixed", limit=limit, cursor=cursor).data
        seen += _numbers(data)
        assert len(data["results"]) <= limit
        if (cursor := data["next_cursor"]) is None:
            break
    assert seen == list(range(1, 13))


def test_cursor_is_stable_when_earlier_rows_are_deleted(execute, mixed):
    cursor = execute("results", batch="Mixed", limit=3).data["next_cursor"]
    execute("clear", batch="Mixed", statuses=["completed"])
    assert _numbers(execute("results", batch="Mixed", limit=3, cursor=cursor).data) == [5, 6, 7]


@pytest.mark.parametrize(
    ("status", "numbers"),
    [
        ("failed", [5, 6]),
        (["failed", "cancelled"], [5, 6, 9]),
        ("failed, cancelled", [5, 6, 9]),
        ("COMPLETED", [1, 2, 3, 4]),
        ("all", list(range(1, 13))),
        ([], list(range(1, 13))),
    ],
)
def test_results_are_filtered_by_status(execute, mixed, status, numbers):
    assert _numbers(execute("results", batch="Mixed", filter_status=status).data) == numbers


def test_results_are_selected_by_id_and_custom_id(execute, mixed):
    ids = [str(mixed.tasks.get(number=number).pk) for number in (7, 2)]
    assert _numbers(execute("results", batch="Mixed", task_ids=ids).data) == [2, 7]
    assert _numbers(execute("results", batch="Mixed", custom_ids="row-3,row-11").data) == [3, 11]
    assert _numbers(execute("results", batch="Mixed", custom_ids=["row-3"], task_ids=ids).data) == [2, 3, 7]
    with pytest.raises(NotFound) as caught:
        execute("results", batch="Mixed", custom_ids=["row-3", "row-99", "x"])
    assert [error["value"] for error in caught.value.errors] == ["row-99", "x"]


def test_empty_list_of_ids_selects_nothing(execute, mixed):
    assert execute("results", batch="Mixed", task_ids=[]).data["results"] == []
    assert execute("results", batch="Mixed", custom_ids=[]).data["results"] == []


def test_results_exclude_tasks_of_other_batches(execute, mixed):
    [other] = add_tasks(make_batch())
    assert execute("results", batch="Mixed", task_ids=[str(other.pk)]).data["results"] == []


def test_results_contain_the_requested_fields_only(execute, mixed):
    rows = execute("results", batch="Mixed", fields="number,result", limit=2).data["results"]
    assert rows == [{"number": 1, "result": {"text": "=1+1", "list": [1, None]}}, {"number": 2, "result": "-5 is text"}]
    with pytest.raises(BadRequest, match="colour"):
        execute("results", batch="Mixed", fields=["number", "colour"])


def test_long_results_are_truncated_and_marked(execute, mixed):
    first, second, third, *_ = execute("results", batch="Mixed", max_chars=10, fields=["result"]).data["results"]
    whole = orjson.dumps({"text": "=1+1", "list": [1, None]}).decode()
    assert first == {"result": whole[:10], "result_truncated": len(whole)}
    assert second["result_truncated"] == len('"-5 is text"')
    assert third == {"result": -5}


# --- export ------------------------------------------------------------------------------------------------------


def _file(execute, form: str, **more) -> str:
    return b"".join(execute("export", batch="Mixed", format=form, **more).stream).decode()


def test_exports_agree_with_results_in_all_formats(execute, mixed):
    rows = execute("results", batch="Mixed").data["results"]
    assert orjson.loads(_file(execute, "json")) == rows
    assert [orjson.loads(line) for line in _file(execute, "jsonl").splitlines()] == rows
    table = list(csv.DictReader(io.StringIO(_file(execute, "csv"), newline="")))
    assert [int(line["number"]) for line in table] == [row["number"] for row in rows]
    assert list(table[0]) == list(RESULT_COLUMNS)
    for line, row in zip(table, rows, strict=True):
        for name in ("status", "custom_id", "created_at", "task_id"):
            assert line[name] == row[name]
    assert orjson.loads(table[0]["result"]) == rows[0]["result"]


def test_csv_export_contains_no_formulas(execute, mixed):
    table = list(csv.reader(io.StringIO(_file(execute, "csv"), newline="")))
    cells = [cell for line in table for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or (cell.startswith("-") and cell != "-5")]
    assert "'=name 1" in cells and "'-5 is text" in cells and "'@broken\nsecond line" in cells


def test_export_is_filtered_by_status(execute, mixed):
    response = execute("export", batch="Mixed", format="jsonl", filter_status="failed,cancelled")
    assert response.data["count"] == 3
    assert [orjson.loads(line)["number"] for line in b"".join(response.stream).splitlines()] == [5, 6, 9]
    assert response.filename.endswith(".jsonl")
    assert "&status=failed,cancelled" in response.data["url"]


@pytest.mark.parametrize(("form", "content"), [("json", []), ("jsonl", ""), ("csv", ",".join(RESULT_COLUMNS))])
def test_empty_export_is_a_valid_file(execute, form, content):
    make_batch("Mixed")
    text = _file(execute, form)
    assert (orjson.loads(text) if form == "json" else text.replace('"', "").strip()) == content


def test_long_export_is_streamed_in_chunks(execute, monkeypatch):
    monkeypatch.setattr("executor.actions.export.ROWS_PER_PIECE", 10)
    add_tasks(make_batch("Mixed"), 35)
    for form in ("json", "jsonl", "csv"):
        pieces = list(execute("export", batch="Mixed", format=form).stream)
        assert len(pieces) >= 4
    assert len(orjson.loads(_file(execute, "json"))) == 35


# --- lists ---------------------------------------------------------------------------------------------------------


def test_list_counts_matching_tasks(mixed):
    def matching(**filters):
        return list_tasks(str(mixed.pk), TaskFilter(**filters)).matching

    assert matching() == 12
    assert matching(status=["failed", "running"]) == matching(status=["FAILED", "running", "failed"]) == 4
    assert matching(q="name 1") == 4  # 1, 10, 11, 12
    assert matching(q="#7") == matching(q="row-7") == 1
    assert matching(priority=["high"]) == 0
    assert matching(q="100%_") == matching(function="a\x00") == matching(q="\ud800") == 0


def test_list_can_be_read_in_both_orders_and_from_any_offset(mixed):
    def numbers(page):
        return [row["number"] for row in page.items]

    newest = list_tasks(str(mixed.pk), limit=5, newest_first=True)
    assert numbers(newest) == [12, 11, 10, 9, 8]
    assert numbers(list_tasks(str(mixed.pk), limit=5, newest_first=True, cursor=newest.next_cursor)) == [7, 6, 5, 4, 3]
    assert numbers(list_tasks(str(mixed.pk), limit=5, offset=10)) == [11, 12]
    assert "result" not in newest.items[0]


def test_batches_are_listed_newest_first_and_filtered(db):
    ids = [str(make_batch(f"Batch {number}").pk) for number in range(7)][::-1]
    seen, cursor = [], None
    while True:
        page, cursor = list_batches(limit=3, cursor=cursor)
        seen += [batch["batch_id"] for batch in page]
        if cursor is None:
            break
    assert seen == ids
    assert [batch["name"] for batch in list_batches(q="batch 3")[0]] == ["Batch 3"]
    assert len(list_batches(state="open,running")[0]) == 7
    assert list_batches(state="running")[0] == list_batches(q="\x00")[0] == []
    for state in ("\x00", "nonsense", "running,over"):
        with pytest.raises(BadRequest):
            list_batches(state=state)
    for cursor in ("x", "eHg=", "ä", "\x00"):
        with pytest.raises(BadRequest):
            list_batches(cursor=cursor)


SEARCHES = [
    {"q": "name 1"},
    {"q": "nowhere"},
    {"q": "name", "status": ["failed"]},
    {"status": ["failed", "queued"]},
    {"status": ["queued"], "function": "ok"},
    {"priority": ["medium"]},
    {"priority": ["high", "low"]},
]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("filters", SEARCHES, ids=str)
def test_large_batch_is_searched_in_windows(mixed, monkeypatch, filters, newest_first):
    """Each page reads at most one window, and all pages together find every match."""

    def page(**more):
        return list_tasks(str(mixed.pk), TaskFilter(**filters), newest_first=newest_first, **more)

    expected = [row["number"] for row in page().items]
    assert page().searched_to is None
    monkeypatch.setattr("executor.reads.tasks.SEARCH_WINDOW", 5)
    assert [row["number"] for row in page(offset=1).items] == expected[1:]
    found, cursor, before = [], None, 13 if newest_first else 0
    while True:
        part = page(limit=2, cursor=cursor)
        looked = abs(part.searched_to - before)
        assert looked == 5 or len(part.items) == 2 or part.next_cursor is None
        assert looked <= 5 and part.matching in (None, len(expected))
        found += [row["number"] for row in part.items]
        if not part.next_cursor:
            break
        cursor, before = part.next_cursor, part.searched_to
    assert found == expected and part.searched_to == (1 if newest_first else 12)


def test_filters_with_an_index_are_not_searched_in_windows(mixed, monkeypatch):
    monkeypatch.setattr("executor.reads.tasks.SEARCH_WINDOW", 1)
    for filters in ({}, {"status": ["failed"]}, {"priority": ["high"]}, {"function": "ok"}):
        assert list_tasks(str(mixed.pk), TaskFilter(**filters)).searched_to is None
    new = make_batch("New")
    add_tasks(new, 3)
    none = list_tasks(str(new.pk), TaskFilter(status=["failed", "cancelled"]))
    assert (none.items, none.next_cursor, none.matching, none.searched_to) == ([], None, 0, None)


@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.parametrize("statuses", [[], ["completed"], ["queued", "running"]])
@pytest.mark.parametrize("newest_first", [False, True])
def test_every_offset_returns_its_slice_of_the_list(execute, mixed, statuses, newest_first, cleared):
    if cleared:
        execute("clear", batch=str(mixed.pk), statuses="failed")
    tasks = mixed.tasks.filter(status__in=statuses) if statuses else mixed.tasks.all()
    numbers = sorted(tasks.values_list("number", flat=True), reverse=newest_first)
    for offset in range(14):
        page = list_tasks(str(mixed.pk), TaskFilter(status=statuses), 3, offset=offset, newest_first=newest_first)
        assert [row["number"] for row in page.items] == numbers[offset : offset + 3]
        assert page.next_cursor == (str(numbers[offset + 2]) if offset + 3 < len(numbers) else None)
        assert page.matching == len(numbers)


def test_results_continue_when_tasks_change_status_during_reading(mixed):
    """A task that ends during the read is left out of its page; later pages are unaffected."""
    statements = count(1)

    def meanwhile(execute, *how):
        if next(statements) == 4:  # after the batch, queued and running: the next statement reads the rows
            cancel(mixed.tasks.get(number=10))
        return execute(*how)

    with connection.execute_wrapper(meanwhile):
        page = list_results(str(mixed.pk), ["queued", "running"], cursor="8", limit=2)
    assert ([row["number"] for row in page.items], page.next_cursor) == ([11], "11")


def test_results_of_several_statuses_are_ordered_by_number(mixed):
    """Each status is read by its own statement."""
    statuses, found, cursor = ["FAILED", "queued", "failed", "completed"], [], None
    while True:
        page = list_results(str(mixed.pk), statuses, cursor=cursor, limit=3)
        assert len(page.items) <= 3
        found += [row["number"] for row in page.items]
        if not (cursor := page.next_cursor):
            break
    assert found == [1, 2, 3, 4, 5, 6, 10, 11, 12]
