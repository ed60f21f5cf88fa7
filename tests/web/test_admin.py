"""Django's admin: lists, search, actions on tasks, and tokens."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from executor.access import caller_of_shell, caller_of_token, create_token
from executor.actions import BatchExecutor
from executor.models import ApiToken, AuditEntry, Batch, BatchStats, BatchTask, TaskAttempt, WorkerNode

pytestmark = pytest.mark.django_db

TASKS = reverse("admin:executor_batchtask_changelist")
TOKENS = reverse("admin:executor_apitoken_changelist")
MANY = 200_000


@pytest.fixture
def operator_client(client, operator):
    """Return a client in which the operator is logged in."""
    client.force_login(operator)
    return client


def execute(action, **arguments):
    return BatchExecutor(caller_of_shell()).execute(action, **arguments).data


def add(count=3, name="Numbers", **fields):
    tasks = [{"function": "simulate", "params": {"duration": 0}, **fields} for _ in range(count)]
    return execute("add_batch", name=name, tasks=tasks)


def words(response) -> str:
    """Return the text of a page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def statuses(batch_id) -> list[str]:
    return list(BatchTask.objects.filter(batch_id=batch_id).order_by("number").values_list("status", flat=True))


# --- lists and pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["batch", "batchtask", "batchstats", "workernode", "apitoken", "auditentry"]
)  # fmt: skip
def test_every_list_and_page_is_rendered(operator_client, model):
    add()
    create_token("agent", ["read"])
    now = timezone.now()
    WorkerNode.objects.create(name="w:1/a", host="here", pid=1, concurrency=5, started_at=now, heartbeat_at=now)
    listed = operator_client.get(reverse(f"admin:executor_{model}_changelist"))
    assert listed.status_code == 200
    link = re.search(rf'href="(/admin/executor/{model}/[^"]+/change/)', listed.content.decode())
    detail = operator_client.get(link[1])
    assert detail.status_code == 200
    assert 'name="_save"' not in detail.content.decode(), "there is nothing to save"
    assert "style=" not in detail.content.decode() + listed.content.decode(), "the content security policy forbids it"


def test_batch_list_shows_counts_and_links_to_the_live_page(operator_client):
    batch_id = add(4)["batch_id"]
    execute("cancel", batch=batch_id, task_ids=[str(BatchTask.objects.get(number=1).pk)])
    page = operator_client.get(reverse("admin:executor_batch_changelist"))
    assert "3 queued, 1 cancelled" in words(page) and "25 %" in words(page)
    assert reverse("batch", args=[batch_id]) in page.content.decode()


def test_batches_are_searched_by_name_and_filtered_by_state(operator_client):
    add(name="Apples")
    add(name="Pears")
    url = reverse("admin:executor_batch_changelist")
    assert "Apples" in words(operator_client.get(url, {"q": "apple"})) and "Pears" not in words(
        operator_client.get(url, {"q": "apple"})
    )
    assert "Apples" in words(operator_client.get(url, {"state__exact": "open"}))
    assert "Apples" not in words(operator_client.get(url, {"state__exact": "finished"}))


def test_task_page_escapes_parameters_result_and_attempts(operator_client):
    add(1, name="One", params={"duration": 0, "seed": 7})
    task = BatchTask.objects.get()
    BatchTask.objects.filter(pk=task.pk).update(result={"deep": {"er": "<b>bold</b>"}})
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: <script>no</script>'
    TaskAttempt.objects.create(
        task=task, number=1, outcome="failed", error="ValueError", traceback=trace, ended_at=timezone.now()
    )
    html = operator_client.get(reverse("admin:executor_batchtask_change", args=[task.pk])).content.decode()
    assert "&quot;seed&quot;: 7" in html and "  &quot;deep&quot;: {\n" in html
    assert "Traceback (most recent call last):\n  File" in html, "the lines of a traceback stay"
    assert "<script>no" not in html and "<b>bold" not in html
    assert "<textarea" not in html


@pytest.mark.parametrize("model", ["batch", "batchtask", "batchstats", "workernode", "auditentry"])
def test_rows_of_the_queue_are_read_only(operator_client, model):
    add(1)
    now = timezone.now()
    WorkerNode.objects.create(name="w1", host="here", pid=1, concurrency=5, started_at=now, heartbeat_at=now)
    rows = {"batch": Batch, "batchtask": BatchTask, "batchstats": BatchStats, "workernode": WorkerNode}
    row = {**rows, "auditentry": AuditEntry}[model].objects.get()
    before = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    forged = {"name": "forged", "status": "completed", "state": "finished", "actor": "forged", "completed": 99}
    assert operator_client.post(reverse(f"admin:executor_{model}_add"), forged).status_code == 403
    assert operator_client.post(reverse(f"admin:executor_{model}_change", args=[row.pk]), forged).status_code == 403
    assert (
        operator_client.post(reverse(f"admin:executor_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code
        == 403
    )
    everything = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes", "index": 0}
    operator_client.post(reverse(f"admin:executor_{model}_changelist"), everything)
    row.refresh_from_db()
    assert {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields} == before


# --- finding tasks ------------------------------------------------------------------------------------------


def test_tasks_are_filtered_by_status_priority_function_and_batch(operator_client):
    apples = add(2, name="Apples", priority="high")["batch_id"]
    pears = add(3, name="Pears")["batch_id"]
    execute("cancel", batch=pears)

    def numbers(**query):
        return len(operator_client.get(TASKS, query).context["cl"].result_list)

    assert (numbers(), numbers(batch=apples), numbers(status="cancelled"), numbers(priority="high")) == (5, 2, 3, 2)
    assert numbers(function="simulate") == 5 and numbers(function="code_execution") == 0
    assert numbers(status="cancelled", batch=apples) == 0
    assert numbers(batch="no id") == numbers(status="odd") == 0, "invalid filters match nothing"


def test_tasks_are_searched_by_id_custom_id_number_name_and_error(operator_client):
    batch = add(1, name="A", custom_id="row-17", **{})["batch_id"]
    add(2, name="B")
    task = BatchTask.objects.get(batch_id=batch)
    BatchTask.objects.filter(pk=task.pk).update(error="disk full", name="Translate")
    for text in (str(task.pk), task.pk.hex, "row-17", "disk fu", "transl"):
        found = operator_client.get(TASKS, {"q": text}).context["cl"].result_list
        assert [row.pk for row in found] == [task.pk], text
    assert {row.number for row in operator_client.get(TASKS, {"q": "#2"}).context["cl"].result_list} == {2}
    assert not operator_client.get(TASKS, {"q": str(uuid4())}).context["cl"].result_list


def test_search_without_a_batch_covers_the_newest_batches_only(operator_client, monkeypatch):
    monkeypatch.setattr("executor.admin.task_list.SEARCH_WINDOW", 2)
    old = add(1, name="Old", custom_id="old-1")["batch_id"]
    BatchTask.objects.update(name="needle")
    add(2, name="New")
    narrowed = operator_client.get(TASKS, {"q": "needle"})
    assert not narrowed.context["cl"].result_list
    assert "of the newest batches; choose a batch" in words(narrowed), "the page names the limit"
    assert len(operator_client.get(TASKS, {"q": "needle", "batch": old}).context["cl"].result_list) == 1
    assert len(operator_client.get(TASKS, {"q": "old-1"}).context["cl"].result_list) == 1, (
        "ids are found in all batches"
    )


@pytest.fixture
def large_batch(transactional_db):
    for part in range(2):
        tasks = [{"function": "simulate", "custom_id": f"row-{part}-{number}"} for number in range(1, MANY // 2 + 1)]
        batch_id = execute("add_batch", name=f"Large {part}", tasks=tasks)["batch_id"]
    return Batch.objects.get(pk=batch_id)


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def test_large_list_uses_indexes_and_bounded_counts(operator_client, large_batch):
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE executor_batchtask")
    requests = {
        "list": ({}, 9),
        "later page": ({"p": "50"}, 9),
        "batch": ({"batch": str(large_batch.pk)}, 9),
        "status": ({"status": "failed"}, 10),
        "custom id": ({"q": "row-0-77777"}, 11),
        "facets": ({"_facets": "True"}, 9),
        "task id": ({"q": str(BatchTask.objects.order_by("number").first().pk)}, 9),
    }
    for what, (query, most) in requests.items():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = operator_client.get(TASKS, query)
        assert page.status_code == 200
        assert len(queries) <= most, f"{what}: {len(queries)} queries"
        for each in queries:
            sql = each["sql"]
            if sql.startswith("SELECT") and "executor_batchtask" in sql and "LIMIT 10001)" not in sql:
                steps = plan(sql)
                assert not re.search(
                    r"SCAN executor_batchtask(?! USING (COVERING )?INDEX)|Seq Scan on executor_batchtask", steps
                ), f"{what}: {sql}\n{steps}"
                assert "TEMP B-TREE FOR ORDER BY" not in steps or what == "custom id", f"{what}: {sql}\n{steps}"
                assert "Sort" not in steps or what in ("custom id", "task id"), f"{what}: {sql}\n{steps}"

    with CaptureQueriesContext(connection) as queries:
        text = words(operator_client.get(TASKS))
    assert "the newest 10000 of 200000 tasks" in text.replace(",", "").replace("batch tasks", "tasks")
    counts = [each["sql"] for each in queries if "COUNT(" in each["sql"] and "executor_batchtask" in each["sql"]]
    assert counts and all("LIMIT 10001" in sql for sql in counts)


# --- acting on tasks ------------------------------------------------------------------------------------------


def act(client, action, tasks, **more):
    return client.post(TASKS, {"action": action, "_selected_action": [str(pk) for pk in tasks], "index": 0, **more})


def ids(batch_id):
    return list(BatchTask.objects.filter(batch_id=batch_id).order_by("number").values_list("pk", flat=True))


def test_one_task_is_cancelled_and_retried_without_a_preview(operator_client, operator):
    batch = add(2)["batch_id"]
    first = ids(batch)[:1]
    page = operator_client.get(act(operator_client, "cancel", first).url)
    assert "Cancelled: 1" in words(page)
    assert statuses(batch) == ["cancelled", "queued"]
    assert BatchStats.objects.get(pk=batch).cancelled == 1, "the counters are updated"
    act(operator_client, "retry", first)
    assert statuses(batch) == ["queued", "queued"]
    last = AuditEntry.objects.order_by("-id").first()
    assert (last.action, last.actor) == ("retry", f"user:{operator.pk} operator")


def test_cancelling_many_tasks_shows_a_preview(operator_client):
    batch = add(5)["batch_id"]
    chosen = ids(batch)
    execute("cancel", task_ids=[str(chosen[0])])
    preview = act(operator_client, "cancel", chosen)
    assert preview.status_code == 200
    assert "queued 4 4" in words(preview) and "cancelled 1 0" in words(preview) and "Together 5 4" in words(preview)
    assert statuses(batch).count("cancelled") == 1, "nothing has happened yet"
    html = preview.content.decode()
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)"', html)
    form = {}
    for name, value in fields:
        form.setdefault(name, []).append(value)
    form.pop("csrfmiddlewaretoken", None)
    operator_client.post(TASKS, form)
    assert statuses(batch) == ["cancelled"] * 5


def test_cancelling_all_tasks_of_a_filter_spares_others(operator_client):
    batch, other = add(3)["batch_id"], add(2, name="Other")["batch_id"]
    url = f"{TASKS}?batch={batch}"
    form = {"action": "cancel", "select_across": "1", "index": 0, "_selected_action": str(ids(batch)[0])}
    assert "Together 3 3" in words(operator_client.post(url, form))
    operator_client.post(url, {**form, "confirmed": "yes"})
    assert statuses(batch) == ["cancelled"] * 3 and statuses(other) == ["queued"] * 2


def test_too_large_selection_is_refused(operator_client, monkeypatch):
    monkeypatch.setattr("executor.admin.tasks.MAX_PAGED", 2)
    batch = add(3)["batch_id"]
    page = operator_client.get(act(operator_client, "cancel", ids(batch)[:1], select_across="1", confirmed="yes").url)
    assert "More than 2 tasks are selected" in words(page) and statuses(batch) == ["queued"] * 3


def test_errors_of_actions_are_shown_as_messages(operator_client, monkeypatch):
    batch = add(1)["batch_id"]

    def unavailable(*_, **__):
        from executor.domain.errors import Unavailable

        raise Unavailable("The database does not answer now.")

    monkeypatch.setattr(BatchExecutor, "execute", unavailable)
    page = operator_client.get(act(operator_client, "cancel", ids(batch)).url)
    assert "The database does not answer now. Try again in a few seconds." in words(page)
    assert "These are not ids of tasks" in words(
        operator_client.post(TASKS, {"action": "cancel", "_selected_action": "x"}, follow=True)
    )


def test_user_without_change_permission_gets_no_actions(client):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_batchtask"))
    client.force_login(viewer)
    batch = add(1)["batch_id"]
    page = client.get(TASKS)
    assert page.status_code == 200 and 'value="cancel"' not in page.content.decode()
    act(client, "cancel", ids(batch))
    assert statuses(batch) == ["queued"]
    detail = client.get(reverse("admin:executor_batchtask_change", args=ids(batch)))
    assert detail.status_code == 200 and "task-actions" not in detail.content.decode()


def test_task_page_enables_the_possible_actions(operator_client):
    batch = add(1)["batch_id"]
    html = operator_client.get(reverse("admin:executor_batchtask_change", args=ids(batch))).content.decode()
    buttons = dict(re.findall(r'name="action" value="(retry|cancel)" class="button"( disabled)?', html))
    assert buttons == {"retry": " disabled", "cancel": ""}


# --- tokens -----------------------------------------------------------------------------------------------------


def make_token(client, **fields):
    return client.post(
        reverse("admin:executor_apitoken_add"), {"name": "agent", "scopes": ["read", "submit"], **fields}
    )


def test_created_token_is_shown_once(operator_client):
    page = make_token(operator_client)
    text = re.search(r"bx_[0-9a-f]{8}_[\w-]+", page.content.decode())[0]
    assert caller_of_token(text).scopes == {"read", "submit"}
    assert "no-store" in page["Cache-Control"]
    secret = text.split("_", 2)[2]
    token = ApiToken.objects.get()
    for url in (TOKENS, reverse("admin:executor_apitoken_change", args=[token.pk]), reverse("admin:index")):
        html = operator_client.get(url).content.decode()
        assert secret not in html and token.digest not in html, url
    assert secret not in str(operator_client.cookies) and secret not in str(dict(operator_client.session))


def test_token_can_be_revoked_but_not_changed(operator_client):
    token, text = create_token("agent", ["read"])
    form = {"name": "other", "scopes": ["read", "code"], "digest": "0" * 64}
    assert operator_client.post(reverse("admin:executor_apitoken_change", args=[token.pk]), form).status_code == 403
    page = operator_client.post(TOKENS, {"action": "revoke", "_selected_action": [token.pk], "index": 0}, follow=True)
    assert "1 token is revoked" in words(page)
    with pytest.raises(Exception, match="revoked"):
        caller_of_token(text)


def test_invalid_token_form_lists_its_errors(operator_client):
    create_token("agent", ["read"])
    past = timezone.now() - timedelta(days=1)
    expires = {"expires_at_0": f"{past:%Y-%m-%d}", "expires_at_1": "00:00:00"}
    text = words(make_token(operator_client, scopes=["root"], **expires))
    assert "already exists" in text and "not one of the available choices" in text and "in the past" in text
    assert ApiToken.objects.count() == 1


def test_token_cannot_exceed_the_scopes_of_its_creator(client):
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.groups.add(clerk.groups.model.objects.get(name="viewer"))
    clerk.user_permissions.add(Permission.objects.get(codename="add_apitoken"))
    client.force_login(clerk)
    assert "not one of the available choices" in words(make_token(client, scopes=["control"]))
    assert not ApiToken.objects.exists()
    make_token(client, scopes=["read"])
    assert ApiToken.objects.get().scopes == ["read"]


def test_admin_complies_with_the_content_security_policy(page, operator):
    """The fixture `page` fails on violations of the policy, which the browser logs."""
    add(2)
    task = BatchTask.objects.first()
    page.problems.clear()  # of the page after the login, which other tests cover
    for path in (TASKS, reverse("admin:executor_batchtask_change", args=[task.pk]), TOKENS):
        page.goto(path)
    page.goto(TASKS)
    page.check("#action-toggle")
    page.select_option("select[name=action]", "cancel")
    page.click("button[name=index]")
    page.click("input[type=submit].default")
    page.wait_for_selector(".messagelist .success")
    assert set(BatchTask.objects.values_list("status", flat=True)) == {"cancelled"}
