"""The live stream over real WebSockets: Daphne, a session cookie, and a client that counts every message."""

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

from tests.support.batches import NOBODYS, frames_of, item, run, submit
from tests.support.waiting import eventually


class Page:
    """A browser's end of the stream; nothing is acknowledged unless it is told to."""

    def __init__(self, socket):
        self.socket = socket

    def next(self, timeout: float = 5) -> dict:
        return json.loads(self.socket.recv(timeout))

    def news(self, timeout: float = 8) -> dict:
        """Return the next message that is not a keep-alive."""
        while (message := self.next(timeout))["t"] == "tick":
            self.ack(message)
        return message

    def ack(self, message: dict) -> None:
        self.say({"ack": message.get("seq", 0)})

    def say(self, word) -> None:
        self.socket.send(word if isinstance(word, str | bytes) else json.dumps(word))

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
    """`watch(batch_id, after=3)`: open the stream of a batch as `operator`."""
    with ExitStack() as stack:
        mine = cookie(operator)

        def start(
            batch: str = "", after=None, user_cookie: str | None = mine, origin: str | None = live_server_url, name=""
        ) -> Page:
            site = urlsplit(live_server_url)
            address = f"ws://{name or site.hostname}:{site.port}/ws/batches" + (f"/{batch}" if batch else "")
            if after is not None:
                address += f"?after={after}"
            headers = {"Cookie": user_cookie} if user_cookie else {}
            line = socket.create_connection((site.hostname, site.port))
            opened = connect(
                address, sock=line, additional_headers=headers, origin=origin, open_timeout=10, close_timeout=1
            )
            return Page(stack.enter_context(opened))

        yield start


# --- who is let in --------------------------------------------------------------------------------------


def test_who_is_not_logged_in_is_told_so(watch):
    batch = submit(item("ok"), start=False)
    for wrong in (None, "sessionid=made-up"):
        assert watch(batch.id, user_cookie=wrong).closed_with() == 4401
        assert watch(user_cookie=wrong).closed_with() == 4401


def test_who_has_no_role_is_refused(watch):
    batch = submit(item("ok"), start=False)
    nobody = cookie(User.objects.create_user("nobody"))
    assert watch(batch.id, user_cookie=nobody).closed_with() == 4403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1:9", "null", None]
)
def test_a_page_of_another_site_is_refused(watch, origin):
    batch = submit(item("ok"), start=False)
    with pytest.raises(InvalidStatus) as refused:
        watch(batch.id, origin=origin)
    assert refused.value.response.status_code == 403


def test_a_name_that_leads_here_but_is_not_ours_is_refused_and_without_redis_too(watch, live_server_url, surroundings):
    batch = submit(item("ok"), start=False)
    rebound = live_server_url.replace("127.0.0.1", "evil.example")
    surroundings.stop_valkey()
    with pytest.raises(InvalidStatus) as refused:
        watch(batch.id, origin=rebound, name="evil.example")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("batch", [NOBODYS, "no-such-batch", "x" * 1000])
def test_an_unknown_batch_is_told_apart_from_a_closed_door(watch, batch):
    assert watch(batch).closed_with() == 4404


def test_a_login_that_ends_ends_the_stream(watch, operator, settings):
    batch = submit(item("ok"), start=False)
    page = watch(batch.id)
    page.ack(page.next())
    operator.is_active = False
    operator.save()
    assert watch(batch.id).closed_with() == 4401


# --- the stream -----------------------------------------------------------------------------------------


def test_it_begins_with_a_snapshot_in_the_shape_of_the_api(watch):
    batch = submit(item("ok"), item("ok"), start=False, name="Seen")
    message = watch(batch.id).next()
    assert (message["t"], message["seq"]) == ("snapshot", batch.status()["seq"])
    assert message["at"].endswith("Z")
    shown = batch.status()
    assert message["batch"] == shown


def test_changes_follow_soon_and_without_a_hole(watch):
    batch = submit(*[item("ok") for _ in range(5)], start=False)
    page = watch(batch.id)
    last = page.next()
    page.ack(last)
    delays = []
    for number in range(1, 6):
        changed = time.monotonic()
        run("cancel", task_ids=[batch.task_ids[number - 1]])
        message = page.news()
        delays.append(time.monotonic() - changed)
        assert (message["t"], message["s0"]) == ("frames", last["seq"] + 1)
        assert [change[:2] for change in message["changes"]] == [[number, "x"]]
        assert message["batch"]["request_counts"]["cancelled"] == number
        page.ack(message)
        last = message
    assert last["seq"] == batch.status()["seq"] and last["batch"]["state"] == "finished"
    assert min(delays) < 0.3, delays


def test_it_goes_on_after_the_frame_that_the_page_has(watch):
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
    assert late.news()["s0"] == seen + 4


@pytest.mark.parametrize("after", [10**6, 10**30, "x", "²", "-1", ""])
def test_a_place_that_never_was_is_answered_with_a_snapshot(watch, after):
    batch = submit(item("ok"), start=False)
    assert watch(batch.id, after=after).next()["t"] == "snapshot"


def test_a_page_that_missed_something_asks_and_gets_it_again(watch):
    batch = submit(*[item("ok") for _ in range(6)], start=False)
    first = batch.status()["seq"]
    page = watch(batch.id)
    page.ack(page.next())
    for task_id in batch.task_ids[:3]:
        run("cancel", task_ids=[task_id])
        page.ack(page.news())
    run("cancel", task_ids=[batch.task_ids[3]])
    page.news()
    page.say({"after": first})  # it lost all since then
    again = page.news()
    while again["seq"] < first + 4:
        page.ack(again)
        again = page.news()
    assert again["s0"] == first + 1 and sorted(change[0] for change in again["changes"]) == [1, 2, 3, 4]


def test_a_client_that_does_not_acknowledge_gets_one_message_and_then_one_merged(watch):
    batch = submit(*[item("ok") for _ in range(30)], start=False)
    page = watch(batch.id)
    snapshot = page.next()
    for task_id in batch.task_ids:
        run("cancel", task_ids=[task_id])
    assert page.silent(1), "a second message came before the first was acknowledged"
    page.ack(snapshot)
    merged = page.news()
    assert (merged["s0"], merged["seq"]) == (snapshot["seq"] + 1, snapshot["seq"] + 30)
    assert len(merged["changes"]) == 30 and merged["batch"]["state"] == "finished"
    assert page.silent(1)


def test_there_are_at_most_ten_messages_a_second(watch):
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
        messages.append(page.news())
        page.ack(messages[-1])
    took = time.monotonic() - began
    changing.join()
    assert 1 < len(messages) <= took * 10 + 2, (len(messages), took)
    assert [change[0] for message in messages for change in message["changes"]] == list(range(1, 201))


def test_the_last_change_of_a_task_wins_in_a_merged_message(watch):
    batch = submit(item("ok"), item("ok"), start=False)
    page, quick = watch(batch.id), watch(batch.id)
    snapshot = page.next()
    quick.ack(quick.next())
    run("cancel", task_ids=[batch.task_ids[0]])
    run("retry", task_ids=[batch.task_ids[0]])
    run("cancel", task_ids=[batch.task_ids[1]])
    told = {}
    while 2 not in told:  # the server may read what is new in parts; it has read all of it when another page has it
        message = quick.news()
        quick.ack(message)
        told |= {change[0]: change[1] for change in message["changes"]}
    page.ack(snapshot)
    changes = {change[0]: change[1] for change in page.news()["changes"]}
    assert changes == {1: "q", 2: "x"}


def test_two_pages_of_one_batch_do_not_wait_for_each_other(watch):
    batch = submit(*[item("ok") for _ in range(5)], start=False)
    slow, quick = watch(batch.id), watch(batch.id)
    slow.next()
    quick.ack(quick.next())
    for task_id in batch.task_ids:
        run("cancel", task_ids=[task_id])
        message = quick.news()
        quick.ack(message)
    assert message["batch"]["state"] == "finished"
    slow.ack({"seq": 0})
    assert slow.news()["batch"] == message["batch"]


def test_cleared_tasks_and_new_names_are_told(watch):
    batch = submit(item("ok"), item("ok"), start=False)
    run("cancel", batch=batch.id)
    page = watch(batch.id)
    page.ack(page.next())
    run("clear", batch=batch.id, statuses=["cancelled"])
    message = page.news()
    assert sorted(change[:2] for change in message["changes"]) == [[1, "-"], [2, "-"]]
    page.ack(message)
    run("update", batch=batch.id, name="A new name")
    assert page.news()["batch"]["name"] == "A new name"


def test_silence_is_told_apart_from_a_dead_line(watch):
    batch = submit(item("ok"), start=False)
    page = watch(batch.id)
    page.ack(page.next())
    tick = page.next(timeout=8)
    assert (tick["t"], tick["seq"]) == ("tick", batch.status()["seq"])


NONSENSE = ["", "{", "[]", "null", "1", '"ack"', '{"ack": {}}', '{"after": "x"}', '{"after": -5}', '{"after": 1e99}']


def test_nonsense_from_the_client_does_not_end_the_stream(watch):
    batch = submit(item("ok"), item("ok"), start=False)
    page = watch(batch.id)
    snapshot = page.next()
    for word in [*NONSENSE, "x" * 100_000, b"\x00\xff", '{"after": ' + "9" * 100 + "}"]:
        page.say(word)
    page.ack(snapshot)
    run("cancel", batch=batch.id)
    state = ""
    while state != "finished":
        message = page.news()
        page.ack(message)
        state = message["batch"]["state"]


def test_the_stream_lives_on_while_valkey_is_away(watch, surroundings):
    batch = submit(item("ok"), item("ok"), start=False)
    page = watch(batch.id)
    page.ack(page.next())
    surroundings.stop_valkey()
    try:
        run("cancel", task_ids=[batch.task_ids[0]])
        message = page.news(timeout=8)
        page.ack(message)
        assert [change[:2] for change in message["changes"]] == [[1, "x"]]
    finally:
        surroundings.start_valkey()
    run("cancel", task_ids=[batch.task_ids[1]])
    assert page.news(timeout=8)["batch"]["state"] == "finished"


def test_what_the_stream_tells_folds_to_what_the_log_says(watch, worker):
    worker(concurrency=10)
    plain = [item("nap", seconds=0.02), item("raises", max_retries=1), item("ok"), item("simulate", duration=0.01)]
    batch = submit(*(plain * 20), start=False)
    page = watch(batch.id, after=0)
    run("start", batch=batch.id, max_concurrent=10)
    folded, last, over = {}, 0, False
    while not over:
        message = page.news(timeout=20)
        assert (message["t"], message["s0"]) == ("frames", last + 1), "a hole, or something twice"
        for change in message["changes"]:
            folded[change[0]] = change
        last = message["seq"]
        # The batch may be newer than the frames that it comes with; then more of them follow.
        over = message["batch"]["state"] == "finished" and message["batch"]["seq"] == last
        page.ack(message)
    log = {change[0]: change for frame in frames_of(batch.id) for change in frame["changes"]}
    assert folded == log and last == batch.status()["seq"]


# --- the list -------------------------------------------------------------------------------------------


def test_the_list_begins_with_all_batches_and_tells_of_those_that_change(watch):
    old = [submit(item("ok"), start=False, name=f"Old {n}") for n in range(3)]
    page = watch()
    message = page.next()
    assert [batch["name"] for batch in message["batches"]] == ["Old 2", "Old 1", "Old 0"]
    assert message["batches"][0] == old[2].status()
    page.ack(message)

    def told(wanted: str, state: str) -> bool:
        message = page.next()
        page.ack(message)
        return any((b["name"], b["state"]) == (wanted, state) for b in message.get("batches", ()))

    run("cancel", batch=old[1].id)
    eventually(lambda: told("Old 1", "finished"), timeout=8)
    submit(item("ok"), start=False, name="New")
    eventually(lambda: told("New", "open"), timeout=8)
