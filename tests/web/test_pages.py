"""The pages without scripts: links and forms, on a real database."""

import json
import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from executor.access import login_link_path
from executor.actions import ACTIONS, Button
from executor.domain.messages import Progress
from executor.domain.task_item import TaskItem
from executor.models import Batch, BatchTask
from executor.queue.dispatch import open_batches
from executor.reads.task_table import COLUMNS, DETAILS, FORMATS, TASK_FORMATS, Column
from executor.storage.attempt_log import AttemptLog
from executor.views.batch import ROWS
from executor.views.forms import TaskForm
from tests.factories import FakeWorker, add_tasks, make_batch, running_batch, start, task_in
from tests.support.batches import UNKNOWN_ID
from tests.support.page import Page

pytestmark = pytest.mark.django_db

ADD_ONE = {"function": "simulate", "priority": "high", "max_retries": "2"}


def person(role: str) -> Client:
    """Return a client logged in with this role, with CSRF checks as in a browser."""
    user = User.objects.create_user(role)
    if role in ("viewer", "operator", "admin"):
        user.groups.add(Group.objects.get(name=role))
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


@pytest.fixture
def operator():
    return person("operator")


@pytest.fixture
def viewer():
    return person("viewer")


def look(client: Client, url: str, status: int = 200) -> Page:
    response = client.get(url)
    assert response.status_code == status, f"{url} gives {response.status_code}"
    return Page(client, response)


def batch_url(batch: Batch, query: str = "") -> str:
    return reverse("batch", args=[batch.pk]) + query


def add_url(batch: Batch, query: str = "") -> str:
    return reverse("task_add", args=[batch.pk]) + query


def now(batch: Batch) -> Batch:
    return Batch.objects.select_related("stats").get(pk=batch.pk)


# --- logging in ----------------------------------------------------------------------------------------------


def test_login_returns_to_the_requested_page():
    User.objects.create_superuser("chief", password="a long enough password")
    client = Client(enforce_csrf_checks=True)
    url = batch_url(make_batch("Night run"))
    response = client.get(url)
    assert response.status_code == 302 and response.url == f"{reverse('login')}?next={url}"
    page = look(client, response.url)
    wrong = page.submit(button="Log in", username="chief", password="wrong")
    assert "do not match" in wrong.text and wrong.value("username") == "chief"
    right = wrong.submit(button="Log in", username="chief", password="a long enough password")
    assert right.url == url and right.heading == "Night run"
    out = right.submit(button="Log out")
    assert out.heading == "Log in" and client.get(url).status_code == 302


@pytest.mark.parametrize(
    "url", ["/", "/batches/new/", f"/batches/{UNKNOWN_ID}/", f"/tasks/{UNKNOWN_ID}/", "/workers/", "/functions/"]
)
def test_pages_require_a_login(client, url):
    response = client.get(url)
    assert response.status_code == 302 and response.url.startswith(reverse("login"))


def test_login_link_works_once():
    user = User.objects.create_superuser("chief")
    link = login_link_path(user)
    first, other = Client(), Client()
    assert destination(first.get(link)) == reverse("batches")
    assert first.get("/").status_code == 200
    assert destination(first.get(link)) == reverse("batches"), "a second visit finds the session logged in"
    page = look(other, link, 410)
    assert page.heading == "This link no longer works" and "loginlink" in page.text
    assert other.get("/").status_code == 302


@pytest.mark.parametrize("path", ["/login/once/x/y/", "/login/once/MQ/abc-def/", "/login/once/%00/%00/"])
def test_invalid_login_link_is_refused(client, path):
    User.objects.create_superuser("chief")
    assert client.get(path).status_code == 410
    assert client.get("/").status_code == 302


def destination(response) -> str:
    assert response.status_code == 302
    return response.url


def test_login_does_not_redirect_to_another_site():
    User.objects.create_superuser("chief", password="a long enough password")
    page = look(Client(enforce_csrf_checks=True), reverse("login") + "?next=https://elsewhere.example/")
    assert page.submit(button="Log in", username="chief", password="a long enough password").url == "/"


# --- the list ------------------------------------------------------------------------------------------------


def test_empty_list_of_batches_links_to_the_form(operator):
    page = look(operator, "/")
    assert "No batches yet." in page.text
    assert page.follow("New batch").heading == "New batch"


def test_list_shows_state_progress_and_counts_of_each_batch(operator):
    batch = make_batch("Night run")
    for status in ("completed", "completed", "failed", "queued"):
        task_in(status, batch)
    make_batch("Other")
    page = look(operator, "/")
    assert [row.split()[0] for row in page.rows("batches")] == ["Other", "Night"]
    row = page.rows("batches")[1]
    assert re.search(r"open 75 % 4 0 1 ", row), row
    assert page.follow("Night run").heading == "Night run"


def test_list_of_batches_is_filtered_by_name_and_state(operator):
    running_batch()[0]
    make_batch("Night run")
    page = look(operator, "/")
    assert len(page.rows("batches")) == 2
    by_name = page.submit(button="Filter", q="nIGHT")
    assert [row.split()[0] for row in by_name.rows("batches")] == ["Night"]
    assert by_name.value("q") == "nIGHT"
    by_state = page.submit(button="Filter", state="running")
    assert len(by_state.rows("batches")) == 1 and "Night" not in by_state.text
    assert "No batch matches." in page.submit(button="Filter", q="nowhere").text
    assert len(by_state.follow("Clear").rows("batches")) == 2


def test_long_list_of_batches_has_pages(operator):
    for number in range(ROWS + 1):
        make_batch(f"number-{number}")
    page = look(operator, "/")
    assert len(page.rows("batches")) == ROWS and f"number-{ROWS}" in page.rows("batches")[0]
    older = page.follow("Older")
    assert [row.split()[0] for row in older.rows("batches")] == ["number-0"]
    assert "Older" not in older.links
    assert len(older.follow("Newest").rows("batches")) == ROWS


def test_invalid_cursor_is_an_error_page(operator):
    assert "failed" in look(operator, "/?cursor=nonsense", 400).heading


# --- a batch ---------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed():
    """Return a batch with tasks 1 to 6: two completed, two failed, one cancelled, one queued."""
    batch = make_batch("Mixed")
    for status in ("completed", "completed", "failed", "failed", "cancelled", "queued"):
        task_in(status, batch, name=f"is {status}", priority=4 if status == "failed" else 2)
    return batch


def numbers(page: Page) -> list[int]:
    return [int(row.split()[0]) for row in page.rows("tasks-table")]


def test_batch_is_complete_without_scripts(operator, mixed):
    page = look(operator, batch_url(mixed))
    assert page.heading == "Mixed" and page.title.startswith("83 % ✗2 Mixed")
    assert numbers(page) == [1, 2, 3, 4, 5, 6]
    assert page.counts() == {"": "6", "queued": "1", "running": "0", "completed": "2", "failed": "2", "cancelled": "1"}
    assert re.search(r"3 failed is failed simulate \w+ 1 \S+ 125 ms it broke$", page.rows("tasks-table")[2])
    assert re.search(r"1 completed is completed simulate \w+ 1 \S+ 250 ms$", page.rows("tasks-table")[0])


def test_counts_toggle_the_filter_by_status(operator, mixed):
    page = look(operator, batch_url(mixed))
    failed = page.follow_count("failed")
    assert numbers(failed) == [3, 4] and failed.current_counts() == ["failed"]
    both = failed.follow_count("cancelled")
    assert numbers(both) == [3, 4, 5] and both.current_counts() == ["failed", "cancelled"]
    assert numbers(both.follow_count("failed")) == [5]
    assert numbers(both.follow_count("")) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?q=broke", [3, 4]),
        ("?q=IS+QUEUED", [6]),
        ("?priority=critical", [3, 4]),
        ("?status=failed,queued&priority=medium", [6]),
        ("?function=simulate&status=cancelled", [5]),
        ("?function=other", []),
        ("?status=nonsense", [1, 2, 3, 4, 5, 6]),
        ("?offset=4", [5, 6]),
        ("?offset=-1", [1, 2, 3, 4, 5, 6]),
        ("?offset=%C2%B2", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_address_filters_the_list(operator, mixed, query, expected):
    page = look(operator, batch_url(mixed, query))
    assert numbers(page) == expected
    assert expected or "No task matches this filter." in page.text


def test_filter_form_keeps_the_status(operator, mixed):
    page = look(operator, batch_url(mixed, "?status=failed,queued"))
    found = page.submit(button="Filter", q="broke", priority="critical")
    assert numbers(found) == [3, 4]
    assert found.current_counts() == ["queued", "failed"]
    assert found.value("q") == "broke" and found.value("priority") == "critical"


def test_pages_of_tasks_keep_the_filter(operator):
    batch = make_batch()
    add_tasks(batch, ROWS + 2, name="one of many")
    first = look(operator, batch_url(batch, "?q=many"))
    assert numbers(first) == [*range(1, ROWS + 1)] and "Previous" not in first.links
    second = first.follow("Next")
    assert numbers(second) == [ROWS + 1, ROWS + 2] and "q=many" in second.url and "Next" not in second.links
    assert numbers(second.follow("Previous"))[0] == 1


def test_search_in_a_large_batch_is_answered_in_parts(operator, monkeypatch):
    monkeypatch.setattr("executor.reads.tasks.SEARCH_WINDOW", 5)
    batch = make_batch()
    add_tasks(batch, 11, name="hay")
    add_tasks(batch, 1, name="needle")
    first = look(operator, batch_url(batch, "?q=needle"))
    assert numbers(first) == [] and "No task up to #5 matches this filter." in first.text
    second = first.follow("Search on")
    assert numbers(second) == [] and "No further task up to #10 matches this filter." in second.text
    last = second.follow("Search on")
    assert numbers(last) == [12] and not {"Search on", "Next"} & set(last.links)
    assert not last.json("island")["whole"], "the scripts begin at the first task"


def test_island_contains_the_data_of_the_page(operator, mixed):
    page = look(operator, batch_url(mixed, "?status=failed&task=3"))
    island = page.json("island")
    assert [task["number"] for task in island["tasks"]] == [3, 4] and island["matching"] == 2
    assert island["filter"] == {"status": ["failed"], "priority": [], "function": "", "q": ""}
    assert island["open"] == 3 and island["batch"]["seq"] == now(mixed).stats.seq


def test_island_of_a_running_batch_contains_its_pace(operator):
    batch, worker = make_batch(max_concurrent=3), FakeWorker()
    add_tasks(batch, 9)
    assert look(operator, batch_url(batch)).json("island")["pace"] == []
    start(batch)
    for _ in range(4):
        worker.complete(*worker.claim(batch)[:1])
    pace = look(operator, batch_url(batch)).json("island")["pace"]
    ages, ended = zip(*pace, strict=True)
    assert list(ages) == sorted(ages, reverse=True) and 0 <= ages[-1] < ages[0] < 60
    assert list(ended) == sorted(ended) and ended[0] == 0 and ended[-1] == 3


@pytest.mark.parametrize("task", ["99", "x", "²", "1" * 30, UNKNOWN_ID])
def test_unknown_task_is_not_opened(operator, mixed, task):
    assert look(operator, batch_url(mixed, f"?task={task}")).json("island")["open"] == 0


def test_markup_in_names_is_escaped(operator):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    batch = make_batch(evil)
    [task] = add_tasks(batch, name=evil[:200], custom_id=evil, params=json.dumps({evil: evil}))
    for url in ("/", batch_url(batch), reverse("task", args=[task.pk]), add_url(batch), batch_url(batch, f"?q={evil}")):
        page = look(operator, url)
        assert "<img src=x" not in page.source and "<script>alert" not in page.source
    assert look(operator, batch_url(batch)).heading == evil


def progressing(progress: list) -> BatchTask:
    """Return a running task with this progress."""
    batch, [task] = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    with open_batches([batch.pk]) as queue:
        queue.record_progress([Progress(claimed.claim, progress)], worker.name)
    return task


def test_progress_of_a_running_task_is_in_the_list_and_on_its_page(operator):
    task = progressing([7.0, None, "<b>seen</b>"])
    assert look(operator, batch_url(task.batch)).rows("tasks-table")[0].endswith("7 · <b>seen</b>")
    assert "Now 7 · <b>seen</b>" in look(operator, reverse("task", args=[task.pk])).text


def test_columns_come_from_one_list(operator, mixed, monkeypatch):
    monkeypatch.setattr("executor.views.batch.COLUMNS", (*COLUMNS, Column("created_at", "Created", format="moment")))
    page = look(operator, batch_url(mixed))
    heads = [node.text for node in page.root.all("th")]
    assert heads == ["Select", *(column.label for column in COLUMNS), "Created"]
    assert re.search(r"it broke \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", page.rows("tasks-table")[2])
    assert [column["label"] for column in page.json("island")["columns"]] == heads[1:]


def test_every_column_has_a_format_and_a_value(operator, mixed):
    [task, *_] = look(operator, batch_url(mixed)).json("island")["tasks"]
    detail = look(operator, reverse("task", args=[task["task_id"]])).json("island")["task"]
    for column, values in [*((each, task) for each in COLUMNS), *((each, detail) for each in DETAILS)]:
        assert column.format in TASK_FORMATS or (column.format in FORMATS and column.name in values)


# --- the buttons of a batch ------------------------------------------------------------------------------------


def test_batch_is_started_and_stopped(operator):
    batch = make_batch()
    add_tasks(batch, 2)
    started = look(operator, batch_url(batch)).submit(button="Start")
    assert started.url == batch_url(batch) and "runs" in started.messages[0]
    assert now(batch).state == "running" and not started.has_button("Start")
    FakeWorker().claim(batch, slots=1)
    stopped = look(operator, batch_url(batch)).submit(button="Stop")
    assert now(batch).state == "stopping" and stopped.has_button("Start")


def test_buttons_come_from_the_registry_of_actions(operator, mixed, monkeypatch):
    own = {"action": "update", "scope": "control"}
    buttons = (Button("Call it X", arguments={"name": "X"}, **own), Button("Hidden", states=("running",), **own))
    monkeypatch.setitem(ACTIONS, "update", replace(ACTIONS["update"], buttons=buttons))
    page = look(operator, batch_url(mixed))
    assert not page.has_button("Rename") and not page.has_button("Hidden")
    assert page.submit(button="Call it X").heading == "X"


def test_stop_now_forces_the_stop(operator):
    batch, _ = running_batch()
    FakeWorker().claim(batch)
    look(operator, batch_url(batch)).submit(button="Stop")
    assert now(batch).state == "stopping" and not now(batch).stop_forced
    look(operator, batch_url(batch)).submit(button="Stop now")
    assert now(batch).stop_forced


def test_limit_is_changed(operator):
    batch = make_batch(max_concurrent=5)
    page = look(operator, batch_url(batch)).submit(button="Set", max_concurrent="17")
    assert now(batch).max_concurrent == 17 and page.value("max_concurrent") == "17"
    bad = page.submit(button="Set", max_concurrent="0")
    assert "max_concurrent" in bad.messages[0] and now(batch).max_concurrent == 17


def test_batch_is_renamed(operator):
    batch = make_batch("before")
    assert look(operator, batch_url(batch)).submit(button="Rename", name="after").heading == "after"


def test_buttons_return_to_the_filtered_list(operator, mixed):
    page = look(operator, batch_url(mixed, "?status=failed")).submit(button="Rename", name="other")
    assert page.url == batch_url(mixed, "?status=failed")


def statuses(batch: Batch) -> list[str]:
    return list(BatchTask.objects.filter(batch=batch).order_by("number").values_list("status", flat=True))


def test_checked_tasks_are_retried_and_cancelled(operator, mixed):
    third, fifth = (
        str(task.pk) for task in BatchTask.objects.filter(batch=mixed, number__in=[3, 5]).order_by("number")
    )
    page = look(operator, batch_url(mixed))
    after = page.submit(button="Retry checked", task_ids=[third, fifth])
    assert statuses(mixed) == ["completed", "completed", "queued", "failed", "queued", "queued"] and after.messages
    after.submit(button="Cancel checked", task_ids=[third])
    assert statuses(mixed)[2:5] == ["cancelled", "failed", "queued"]


def test_all_matching_tasks_are_retried_or_cancelled(operator, mixed):
    page = look(operator, batch_url(mixed, "?status=failed"))
    after = page.submit(button="Retry all 2 matching")
    assert statuses(mixed) == ["completed", "completed", "queued", "queued", "cancelled", "queued"]
    assert after.url == batch_url(mixed, "?status=failed")
    look(operator, batch_url(mixed, "?priority=critical")).submit(button="Cancel all 2 matching")
    assert statuses(mixed) == ["completed", "completed", "cancelled", "cancelled", "cancelled", "queued"]


def test_action_without_checked_tasks_is_an_error_message(operator, mixed):
    page = look(operator, batch_url(mixed)).submit(button="Retry checked")
    assert page.messages and "failed" in statuses(mixed)


def test_actions_require_post(operator, mixed):
    for action in ("start", "stop", "update", "cancel", "retry"):
        assert operator.get(reverse("batch_action", args=[mixed.pk, action])).status_code == 405
    assert operator.get(reverse("batch_action", args=[mixed.pk, "explode"])).status_code == 404


def test_post_without_csrf_token_is_refused(operator, mixed):
    before = now(mixed).state
    response = operator.post(reverse("batch_action", args=[mixed.pk, "start"]))
    assert response.status_code == 403 and "The form has expired" in response.content.decode()
    assert now(mixed).state == before != "running"


# --- clearing --------------------------------------------------------------------------------------------------


def test_clearing_previews_and_then_deletes(operator, mixed):
    page = look(operator, batch_url(mixed)).follow("Clear finished tasks…")
    assert page.preview() == {
        "queued": (0, 1),
        "running": (0, 0),
        "completed": (2, 0),
        "failed": (0, 2),
        "cancelled": (0, 1),
    }
    page = page.submit(button="Preview", statuses=["failed", "cancelled"])
    assert page.preview()["failed"] == (2, 0) and page.preview()["completed"] == (0, 2)
    assert len(statuses(mixed)) == 6, "a preview deletes nothing"
    done = page.submit(button="Delete 3 tasks")
    assert done.url == batch_url(mixed) and done.messages == ["3 tasks were deleted."]
    assert statuses(mixed) == ["completed", "completed", "queued"] and numbers(done) == [1, 2, 6]


def test_clearing_by_age_keeps_newer_tasks(operator, mixed):
    page = look(operator, reverse("batch_action", args=[mixed.pk, "clear"]))
    page = page.submit(button="Preview", statuses=["completed"], days="1")
    assert page.preview()["completed"] == (0, 2) and page.value("days") == "1"
    assert page.is_disabled("Delete 0 tasks")
    page.submit(button="Delete 0 tasks", force=True)
    assert len(statuses(mixed)) == 6


def test_clearing_can_be_left_without_deleting(operator, mixed):
    page = look(operator, reverse("batch_action", args=[mixed.pk, "clear"])).follow("Keep everything")
    assert page.url == batch_url(mixed) and len(statuses(mixed)) == 6


def test_forged_form_cannot_clear_queued_tasks(operator, mixed):
    page = look(operator, reverse("batch_action", args=[mixed.pk, "clear"]))
    page.post(page.url, statuses=["queued"], days="nonsense")
    assert statuses(mixed) == ["failed", "failed", "cancelled", "queued"], "invalid values fall back to the defaults"


# --- adding ----------------------------------------------------------------------------------------------------


def only(batch: Batch) -> BatchTask:
    return BatchTask.objects.get(batch=batch)


def test_form_adds_one_task(operator):
    batch = make_batch()
    page = look(operator, batch_url(batch)).follow("Add tasks").submit(button="Choose", function="simulate")
    added = page.submit(
        button="Add task",
        **{"p_duration": "2.5", "p_fail_times": "1", "p_seed": "", "name": "mine", "custom_id": "a-1"},
        **{"priority": "high", "max_retries": "2", "timeout": "60", "run_at": "2030-01-31T12:30"},
    )
    assert added.url == batch_url(batch)
    task = only(batch)
    assert (task.function, task.name, task.custom_id, task.max_retries) == ("simulate", "mine", "a-1", 2)
    assert task.get_priority_display() == "high" and task.timeout == 60
    assert f"{task.run_after:%Y-%m-%d %H:%M}" == "2030-01-31 12:30"
    assert task.params["duration"] == 2.5 and task.params["fail_times"] == 1 and "seed" not in task.params


def test_task_form_has_the_fields_of_a_task():
    assert {"function", "params", *TaskForm().fields} == set(TaskItem.model_fields)


def test_form_offers_another_task_of_the_same_function(operator):
    batch = make_batch()
    page = look(operator, add_url(batch, "?function=ok")).submit(button="Add and make another", p_value="x")
    assert page.url == add_url(batch, "?function=ok") and page.messages
    assert only(batch).params == {"value": "x"}


def test_errors_are_beside_their_fields_and_input_is_kept(operator):
    batch = make_batch()
    task_in("queued", batch, custom_id="taken")
    page = look(operator, add_url(batch, "?function=simulate"))
    page = page.submit(button="Add task", p_duration="-1", name="kept")
    assert "greater than or equal to 0" in page.error_of("p_duration") and page.value("name") == "kept"
    page = page.submit(button="Add task", p_duration="1", custom_id="taken")
    assert "task 1 of the batch has this custom_id" in page.error_of("custom_id")
    assert BatchTask.objects.filter(batch=batch).count() == 1


def test_form_creates_a_batch_with_its_first_task(operator):
    page = look(operator, "/").follow("New batch").submit(button="Choose", function="ok")
    made = page.submit(
        button="Create batch", **{"batch-name": "Made here", "batch-max_concurrent": "9", "p_value": "x", "start": True}
    )
    batch = Batch.objects.get(name="Made here")
    assert made.url == batch_url(batch) and (batch.state, batch.max_concurrent) == ("running", 9)
    assert only(batch).params == {"value": "x"}


def test_no_batch_is_created_for_an_invalid_task(operator):
    page = look(operator, reverse("batch_new") + "?function=simulate")
    page.submit(button="Create batch", **{"batch-name": "Made here", "p_duration": "-1"})
    assert not Batch.objects.exists()


JSON = json.dumps(
    [{"function": "ok", "custom_id": "a"}, {"function": "ok", "custom_id": "b", "params": {"value": "y"}}]
)
JSONL = '{"function": "ok", "custom_id": "a"}\n{"function": "ok", "custom_id": "b", "params": {"value": "y"}}\n'
CSV = "function,custom_id,value\nok,a,\nok,b,y\n"


@pytest.mark.parametrize("text", [JSON, JSONL, CSV], ids=["JSON", "JSON Lines", "CSV"])
@pytest.mark.parametrize("way", ["pasted", "uploaded"])
def test_many_tasks_are_added_at_once(operator, text, way):
    batch = make_batch()
    page = look(operator, add_url(batch)).follow("Many tasks")
    given = {"text": text} if way == "pasted" else {"file": SimpleUploadedFile("tasks", text.encode())}
    added = page.submit(button="Add tasks", **given)
    assert added.url == batch_url(batch) and added.messages
    tasks = BatchTask.objects.filter(batch=batch).order_by("number")
    assert [(task.function, task.custom_id, task.params) for task in tasks] == [
        ("ok", "a", {}),
        ("ok", "b", {"value": "y"}),
    ]


def test_batch_is_created_from_many_tasks(operator):
    page = look(operator, reverse("batch_new") + "?tab=many")
    page.submit(button="Create batch", **{"batch-name": "From a table", "text": CSV, "start": True})
    batch = Batch.objects.get(name="From a table")
    assert batch.state == "running" and BatchTask.objects.filter(batch=batch).count() == 2


def test_unreadable_lines_are_listed_and_nothing_is_stored(operator):
    batch = make_batch()
    text = JSONL + "oops\n\n[1]\n"
    page = look(operator, add_url(batch, "?tab=many")).submit(button="Add tasks", status=400, text=text)
    assert [row.split()[:2] for row in page.rows("errors")] == [["3", "2"], ["5", "3"]]
    assert "Nothing was stored" in page.text and page.value("text").strip() == text.strip()
    assert not BatchTask.objects.exists()


def test_invalid_tasks_are_listed_with_their_lines(operator):
    batch = make_batch()
    text = "function,custom_id,duration\nsimulate,a,-1\nsimulate,b,1\nsimulte,c,1\nsimulate,b,1\nsimulate,d,x\n"
    page = look(operator, add_url(batch, "?tab=many")).submit(button="Add tasks", status=400, text=text)
    assert [tuple(row.split()[:4]) for row in page.rows("errors")] == [
        ("2", "0", "a", "params.duration"),
        ("4", "2", "c", "function"),
        ("5", "3", "b", "custom_id"),
        ("6", "4", "d", "params.duration"),
    ]
    assert not BatchTask.objects.exists()


def test_errors_beyond_the_limit_are_counted(operator):
    text = "\n".join(["{"] * 2 + ["oops"] * 203)
    page = look(operator, add_url(make_batch(), "?tab=many")).submit(
        button="Add tasks", status=400, text=text, format="jsonl"
    )
    assert len(page.rows("errors")) == 200 and "and 5 more." in page.text


def test_empty_form_of_many_tasks_is_an_error(operator):
    page = look(operator, add_url(make_batch(), "?tab=many")).submit(button="Add tasks")
    assert "Paste tasks or choose a file." in page.text


# --- a task, the workers, the functions -----------------------------------------------------------------------


def test_page_of_a_task_shows_its_fields_and_attempts(operator):
    task = task_in("failed", name="one", custom_id="a-1", params='{"duration": 0.5}', timeout=90)
    page = look(operator, reverse("task", args=[task.pk]))
    assert page.heading == "#1 one"
    for text in ("simulate", "a-1", "it broke", "ValueError", '"duration": 0.5', "1 min 30 s", str(task.pk)):
        assert text in page.text
    assert "Attempts that did not complete" in page.text
    assert numbers(page.follow("Show in the list")) == [1]


def test_task_is_retried_and_cancelled_on_its_page(operator):
    task = task_in("failed")
    url = reverse("task", args=[task.pk])
    page = look(operator, url).submit(button="Retry")
    assert page.url == url and statuses(task.batch) == ["queued"]
    page = page.submit(button="Cancel")
    assert page.url == url and statuses(task.batch) == ["cancelled"] and page.has_button("Retry")


def test_page_of_a_completed_task_has_no_buttons(operator):
    page = look(operator, reverse("task", args=[task_in("completed").pk]))
    assert "attempt 1" in page.text and not page.has_button("Retry") and not page.has_button("Cancel")


def test_log_on_the_page_has_no_terminal_escapes(operator):
    task = task_in("completed")
    url = reverse("task", args=[task.pk])
    assert "Log attempt 1" not in look(operator, url).text
    log = AttemptLog(task.batch_id, task.number, 1)
    log.write("\x1b[32mgreen\x1b[0m\x1b]0;title\x07 <b>&\x00\x08\r\n50%\r100%\n\x1b[2K\x1b(Bend")
    log.close()
    page = look(operator, url)
    [box] = [node for node in page.root.all("pre") if node.has_class("log")]
    assert box.raw() == "green <b>&\n50%\n100%\nend" and "Log attempt 1" in page.text


def test_workers_are_listed(operator):
    assert "No worker has reported" in look(operator, reverse("workers")).text
    worker = FakeWorker(concurrency=7)
    [row] = look(operator, reverse("workers")).rows("workers")
    assert worker.name in row and "active" in row and "/ 7" in row


def test_functions_are_listed(operator):
    page = look(operator, reverse("functions"))
    assert {"simulate", "code_execution", "custom_function", "ok"} <= set(page.links)
    assert re.search(r"failure_rate number 0\.0 The probability", page.text)


# --- viewers ------------------------------------------------------------------------------------------


def test_viewer_sees_pages_without_controls(viewer, mixed):
    failed = BatchTask.objects.get(batch=mixed, number=3)
    for url in ("/", batch_url(mixed), reverse("task", args=[failed.pk]), reverse("workers"), reverse("functions")):
        page = look(viewer, url)
        posts = [form for form in page.forms if form.method == "post" and not form.action.startswith("/logout")]
        assert [form.action for form in posts if any(button.text for button in form.buttons)] == []
        assert not {"New batch", "Add tasks", "Clear finished tasks…"} & set(page.links)
        assert not page.names("task_ids")
    assert numbers(look(viewer, batch_url(mixed))) == [1, 2, 3, 4, 5, 6]


def test_viewer_is_refused_actions(viewer, mixed):
    before = statuses(mixed)
    page = look(viewer, batch_url(mixed))
    ids = [str(pk) for pk in BatchTask.objects.filter(batch=mixed).values_list("pk", flat=True)]
    for action in ("start", "stop", "update", "cancel", "retry", "clear"):
        given = {"name": "mine", "task_ids": ids, "statuses": ["completed"]}
        response = page.post(reverse("batch_action", args=[mixed.pk, action]), **given)
        assert response.status_code == 403, action
    for url in (add_url(mixed), reverse("batch_new"), reverse("batch_action", args=[mixed.pk, "clear"])):
        assert look(viewer, url, 403).heading == "Not permitted"
    assert page.post(add_url(mixed), many="1", text=JSON).status_code == 403
    assert statuses(mixed) == before and now(mixed).name == "Mixed"


def test_user_without_a_role_is_refused():
    assert look(person("plain"), "/", 403).heading == "Not permitted"


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "/nowhere/",
        f"/batches/{UNKNOWN_ID}/",
        f"/batches/{UNKNOWN_ID}/add/",
        f"/batches/{UNKNOWN_ID}/clear/",
        f"/tasks/{UNKNOWN_ID}/",
        "/tasks/x/",
    ],
)
def test_unknown_address_is_a_not_found_page(operator, url):
    page = look(operator, url, 404)
    assert page.heading == "Not found" and page.follow("Batches").url == "/"


def test_post_to_an_unknown_batch_is_not_found(operator):
    page = look(operator, "/")
    response = page.post(f"/batches/{UNKNOWN_ID}/start/")
    assert response.status_code == 404


def test_server_error_is_a_page_without_details(operator, monkeypatch):
    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr("executor.views.workers.list_workers", broken)
    operator.raise_request_exception = False
    page = look(operator, reverse("workers"), 500)
    assert page.heading == "Server error" and "boom" not in page.source


# --- content security policy ----------------------------------------------------------------------


def test_pages_comply_with_the_content_security_policy(operator, mixed):
    failed = BatchTask.objects.get(batch=mixed, number=3)
    anonymous = Client()
    pages = [
        *(look(operator, url) for url in ("/", "/?q=x", reverse("workers"), reverse("functions"))),
        *(look(operator, batch_url(mixed, query)) for query in ("", "?status=failed", "?q=nothing")),
        *(look(operator, add_url(mixed, query)) for query in ("", "?tab=many", "?function=custom_function")),
        look(operator, reverse("batch_new")),
        look(operator, reverse("batch_action", args=[mixed.pk, "clear"])),
        look(operator, reverse("task", args=[failed.pk])),
        look(operator, "/nowhere/", 404),
        look(anonymous, reverse("login")),
        look(anonymous, "/login/once/x/y/", 410),
        look(person("plain"), "/", 403),
    ]
    nonces = set()
    for page in pages:
        policy = page.response["Content-Security-Policy"]
        [nonce] = re.findall(r"script-src 'self' 'nonce-([\w-]{16,})'", policy)
        assert "'unsafe" not in policy
        nonces.add(nonce)
        for attributes, content in page.scripts:
            data = attributes.get("type") == "application/json"
            assert data or attributes.get("src") or attributes.get("nonce") == nonce, f"{page.url}: {content[:80]}"
        assert not page.inline_styles and not page.inline_handlers, page.url
    assert len(nonces) == len(pages), "a nonce is for one answer"
