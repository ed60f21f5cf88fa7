"""The live stream over WebSockets: Daphne, a session cookie, and a client that checks every message."""

import json
import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from executor.reads.feed import POLL_INTERVAL
from tests.support.batches import UNKNOWN_ID, frames_of, item, run, submit
from tests.support.waiting import eventually


class StreamClient:
    """The client's end of a stream; only `ack` acknowledges messages."""

    def __init__(self, socket):
        self.socket = socket

    def next(self, timeout: float = 5) -> dict:
        return json.loads(self.socket.recv(timeout))

    def next_change(self, timeout: float = 8) -> dict:
        """Return the next message that is not a keep-alive."""
        while (message := self.next(timeout))["t"] == "tick":
            self.ack(message)
        return message

    def ack(self, message: dict) -> None:
        self.send({"ack": message.get("seq", 0)})

    def send(self, message) -> None:
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def silent(self, seconds: float) -> bool:
        try:
            self.socket.recv(seconds)
        except TimeoutError:
            return True
        return False

    def closed_with(self, timeout: float = 5) -> int:
        with pytest.raises(ConnectionClosed):
            while True:
                self.socket.recv(timeout)
        return self.socket.close_code


def cookie(user: User) -> str:
    browser = Client()
    browser.force_login(user)
    return f"sessionid={browser.cookies['sessionid'].value}"


@pytest.fixture
def watch(live_server_url, operator):
    """Return `watch(batch_id, after=3)`, which opens the stream of a batch as `operator`."""
    with ExitStack() as stack:
        own_cookie = cookie(operator)

        def start(
            batch: str = "",
            after=None,
            user_cookie: str | None = own_cookie,
            origin: str | None = live_server_url,
            name="",
        ) -> StreamClient:
            site = urlsplit(live_server_url)
            address = f"ws://{name or site.hostname}:{site.port}/ws/batches" + (f"/{batch}" if batch else "")
            if after is not None:
                address += f"?after={after}"
            headers = {"Cookie": user_cookie} if user_cookie else {}
            line = socket.create_connection((site.hostname, site.port))
            opened = connect(
                address, sock=line, additional_headers=headers, origin=origin, open_timeout=10, close_timeout=1
            )
            return StreamClient(stack.enter_context(opened))

        yield start


# --- access ---------------------------------------------------------------------------------------------


def test_socket_without_a_login_is_closed_with_its_code(watch):
    batch = submit(item("ok"), start=False)
    for wrong in (None, "sessionid=made-up"):
        assert watch(batch.id, user_cookie=wrong).closed_with() == 4401
        assert watch(user_cookie=wrong).closed_with() == 4401


def test_user_without_a_role_is_rejected(watch):
    batch = submit(item("ok"), start=False)
    own_cookie = cookie(User.objects.create_user("no-role"))
    assert watch(batch.id, user_cookie=own_cookie).closed_with() == 4403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1:9", "null", None]
)
def test_page_of_another_site_is_rejected(watch, origin):
    batch = submit(item("ok"), start=False)
    with pytest.raises(InvalidStatus) as refused:
        watch(batch.id, origin=origin)
    assert refused.value.response.status_code == 403


def test_dns_rebinding_is_rejected_also_without_redis(watch, live_server_url, surroundings):
    batch = submit(item("ok"), start=False)
    rebound = live_server_url.replace("127.0.0.1", "evil.example")
    surroundings.stop_valkey()
    with pytest.raises(InvalidStatus) as refused:
        watch(batch.id, origin=rebound, name="evil.example")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("batch", [UNKNOWN_ID, "no-such-batch", "x" * 1000])
def test_unknown_batch_is_closed_with_its_own_code(watch, batch):
    assert watch(batch).closed_with() == 4404


def test_inactive_user_is_rejected(watch, operator, settings):
    batch = submit(item("ok"), start=False)
    page = watch(batch.id)
    page.ack(page.next())
    operator.is_active = False
    operator.save()
    assert watch(batch.id).closed_with() == 4401


# --- the stream -----------------------------------------------------------------------------------------


def test_stream_begins_with_a_snapshot_in_the_format_of_the_api(watch):
    batch = submit(item("ok"), item("ok"), start=False, name="Seen")
    message = watch(batch.id).next()
    assert (message["t"], message["seq"]) == ("snapshot", batch.status()["seq"])
    assert message["at"].endswith("Z")
    status = batch.status()
    assert message["batch"] == status


def test_changes_follow_by_notification_and_without_a_gap(watch):
    batch = submit(*[item("ok") for _ in range(5)], start=False)
    page = watch(batch.id)
    last = page.next()
    page.ack(last)
    delays = []
    for number in range(1, 6):
        changed = time.monotonic()
        run("cancel", task_ids=[batch.task_ids[number - 1]])
        message = page.next_change()
        delays.append(time.monotonic() - changed)
        assert (message["t"], message["s0"]) == ("frames", last["seq"] + 1)
        assert [change[:2] for change in message["changes"]] == [[number, "x"]]
        assert message["batch"]["request_counts"]["cancelled"] == number
        page.ack(message)
        last = message
    assert last["seq"] == batch.status()["seq"] and last["batch"]["state"] == "finished"
    assert min(delays) < 0.8 * POLL_INTERVAL, delays


def test_stream_resumes_after_a_given_frame(watch):
    batch = submit(*[item("ok") for _ in range(4)], start=False)
    seen = batch.status()["seq"]
    for task_id in batch.task_ids[:3]:
        run("cancel", task_ids=[task_id])
    message = watch(batch.id, after=seen).next()
    assert (message["t"], message["s0"], message["seq"]) == ("frames", seen + 1, seen + 3)
    assert sorted(change[0] for change in message["changes"]) == [1, 2, 3]
    late = watch(batch.id, after=seen + 3)
    assert late.silent(1)  # it has everything
    run("cancel", task_ids=[batch.task_ids[3]])
    assert late.next_change()["s0"] == seen + 4


@pytest.mark.parametrize("after", [10**6, 10**30, "x", "²", "-1", ""])
def test_invalid_position_is_answered_with_a_snapshot(watch, after):
    batch = submit(item("ok"), start=False)
    assert watch(batch.id, after=after).next()["t"] == "snapshot"


def test_client_can_request_missed_frames(watch):
    batch = submit(*[item("ok") for _ in range(6)], start=False)
    first = batch.status()["seq"]
    page = watch(batch.id)
    page.ack(page.next())
    for task_id in batch.task_ids[:3]:
        run("cancel", task_ids=[task_id])
        page.ack(page.next_change())
    run("cancel", task_ids=[batch.task_ids[3]])
    page.next_change()
    page.send({"after": first})  # it has missed all later frames
    again = page.next_change()
    while again["seq"] < first + 4:
        page.ack(again)
        again = page.next_change()
    assert again["s0"] == first + 1 and sorted(change[0] for change in again["changes"]) == [1, 2, 3, 4]


def test_changes_are_merged_until_the_acknowledgement(watch):
    batch = submit(*[item("ok") for _ in range(30)], start=False)
    page = watch(batch.id)
    snapshot = page.next()
    for task_id in batch.task_ids:
        run("cancel", task_ids=[task_id])
    assert page.silent(1), "a second message came before the acknowledgement of the first"
    page.ack(snapshot)
    merged = page.next_change()
    assert (merged["s0"], merged["seq"]) == (snapshot["seq"] + 1, snapshot["seq"] + 30)
    assert len(merged["changes"]) == 30 and merged["batch"]["state"] == "finished"
    assert page.silent(1)


def test_at_most_ten_messages_a_second_are_sent(watch):
    batch = submit(*[item("ok") for _ in range(200)], start=False)
    page = watch(batch.id)
    page.ack(page.next())
    began = time.monotonic()

    def change_all():
        try:
            for task_id in batch.task_ids:
                run("cancel", task_ids=[task_id])
        finally:
            connection.close()

    changing = threading.Thread(target=change_all)
    changing.start()
    messages = []
    while not messages or messages[-1]["batch"]["state"] != "finished":
        messages.append(page.next_change())
        page.ack(messages[-1])
    took = time.monotonic() - began
    changing.join()
    assert 1 < len(messages) <= took * 10 + 2, (len(messages), took)
    assert [change[0] for message in messages for change in message["changes"]] == list(range(1, 201))


def test_merged_message_has_the_last_change_of_each_task(watch):
    batch = submit(item("ok"), item("ok"), start=False)
    page, quick = watch(batch.id), watch(batch.id)
    snapshot = page.next()
    quick.ack(quick.next())
    run("cancel", task_ids=[batch.task_ids[0]])
    run("retry", task_ids=[batch.task_ids[0]])
    run("cancel", task_ids=[batch.task_ids[1]])
    seen = {}
    while 2 not in seen:  # the server may read the changes in parts; once another client has all, it has read all
        message = quick.next_change()
        quick.ack(message)
        seen |= {change[0]: change[1] for change in message["changes"]}
    page.ack(snapshot)
    changes = {change[0]: change[1] for change in page.next_change()["changes"]}
    assert changes == {1: "q", 2: "x"}


def test_slow_client_does_not_delay_another(watch):
    batch = submit(*[item("ok") for _ in range(5)], start=False)
    slow, quick = watch(batch.id), watch(batch.id)
    slow.next()
    quick.ack(quick.next())
    for task_id in batch.task_ids:
        run("cancel", task_ids=[task_id])
        message = quick.next_change()
        quick.ack(message)
    assert message["batch"]["state"] == "finished"
    slow.ack({"seq": 0})
    assert slow.next_change()["batch"] == message["batch"]


def test_cleared_tasks_and_new_names_are_sent(watch):
    batch = submit(item("ok"), item("ok"), start=False)
    run("cancel", batch=batch.id)
    page = watch(batch.id)
    page.ack(page.next())
    run("clear", batch=batch.id, statuses=["cancelled"])
    message = page.next_change()
    assert sorted(change[:2] for change in message["changes"]) == [[1, "-"], [2, "-"]]
    page.ack(message)
    run("update", batch=batch.id, name="A new name")
    assert page.next_change()["batch"]["name"] == "A new name"


def test_idle_stream_sends_keepalives(watch):
    batch = submit(item("ok"), start=False)
    page = watch(batch.id)
    page.ack(page.next())
    tick = page.next(timeout=8)
    assert (tick["t"], tick["seq"]) == ("tick", batch.status()["seq"])


INVALID_MESSAGES = [
    "",
    "{",
    "[]",
    "null",
    "1",
    '"ack"',
    '{"ack": {}}',
    '{"after": "x"}',
    '{"after": -5}',
    '{"after": 1e99}',
]


def test_invalid_client_messages_do_not_end_the_stream(watch):
    batch = submit(item("ok"), item("ok"), start=False)
    page = watch(batch.id)
    snapshot = page.next()
    for word in [*INVALID_MESSAGES, "x" * 100_000, b"\x00\xff", '{"after": ' + "9" * 100 + "}"]:
        page.send(word)
    page.ack(snapshot)
    run("cancel", batch=batch.id)
    state = ""
    while state != "finished":
        message = page.next_change()
        page.ack(message)
        state = message["batch"]["state"]


def test_stream_survives_an_outage_of_valkey(watch, surroundings):
    batch = submit(item("ok"), item("ok"), start=False)
    page = watch(batch.id)
    page.ack(page.next())
    surroundings.stop_valkey()
    try:
        run("cancel", task_ids=[batch.task_ids[0]])
        message = page.next_change(timeout=8)
        page.ack(message)
        assert [change[:2] for change in message["changes"]] == [[1, "x"]]
    finally:
        surroundings.start_valkey()
    run("cancel", task_ids=[batch.task_ids[1]])
    assert page.next_change(timeout=8)["batch"]["state"] == "finished"


def test_stream_folds_to_the_frames_of_the_batch(watch, worker):
    worker(concurrency=10)
    plain = [item("nap", seconds=0.02), item("raises", max_retries=1), item("ok"), item("simulate", duration=0.01)]
    batch = submit(*(plain * 20), start=False)
    page = watch(batch.id, after=0)
    run("start", batch=batch.id, max_concurrent=10)
    folded, last, over = {}, 0, False
    while not over:
        message = page.next_change(timeout=20)
        assert (message["t"], message["s0"]) == ("frames", last + 1), "a hole, or something twice"
        for change in message["changes"]:
            folded[change[0]] = change
        last = message["seq"]
        # The batch may be newer than the frames beside it; then more frames follow.
        over = message["batch"]["state"] == "finished" and message["batch"]["seq"] == last
        page.ack(message)
    log = {change[0]: change for frame in frames_of(batch.id) for change in frame["changes"]}
    assert folded == log and last == batch.status()["seq"]


# --- the list -------------------------------------------------------------------------------------------


def test_list_begins_with_all_batches_and_sends_changed_ones(watch):
    old = [submit(item("ok"), start=False, name=f"Old {n}") for n in range(3)]
    page = watch()
    message = page.next()
    assert [batch["name"] for batch in message["batches"]] == ["Old 2", "Old 1", "Old 0"]
    assert message["batches"][0] == old[2].status()
    page.ack(message)

    def has_sent(name: str, state: str) -> bool:
        message = page.next()
        page.ack(message)
        return any((b["name"], b["state"]) == (name, state) for b in message.get("batches", ()))

    run("cancel", batch=old[1].id)
    eventually(lambda: has_sent("Old 1", "finished"), timeout=8)
    submit(item("ok"), start=False, name="New")
    eventually(lambda: has_sent("New", "open"), timeout=8)
