"""A worker that was suspended past its heartbeat limit resumes after its tasks were rescued (F15)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from executor.db.dialect import set_idle_in_transaction_timeout
from executor.domain.messages import Completed, Failed
from executor.models import BatchFrame, WorkerNode
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import fill_slots
from executor.web.asgi_handler import RequestThreadPool
from tests.faults.conftest import resume, wait_until_suspended
from tests.support.batches import assert_consistent, item, marks, submit
from tests.support.environment import ON_POSTGRESQL
from tests.support.waiting import eventually


def test_outcomes_of_a_resumed_worker_are_refused(start, mark):
    """The first outcome comes before the worker is suspended, the second after it resumes."""
    batch = submit(item("nap", seconds=0.05, mark=mark), item("nap", seconds=3, mark=mark), max_concurrent=2)
    sleeper = start("before-finish=pause")
    wait_until_suspended(sleeper.pid)
    heir = start()
    eventually(lambda: sleeper.node().state == WorkerNode.State.DEAD)
    eventually(lambda: batch.statuses() == ["completed", "running"], describe=batch.describe)
    before = BatchFrame.objects.filter(batch_id=batch.id).count()
    resume(sleeper.pid)
    eventually(lambda: WorkerNode.objects.filter(pid=sleeper.pid, state="active").exclude(pk=sleeper.worker_name))
    assert batch.statuses()[0] == "completed"
    tasks = batch.wait().tasks()
    assert [(task["attempt"], task["worker"], task["retry_count"]) for task in tasks] == [(2, heir.worker_name, 1)] * 2
    # What the sleeper said made no frame: the only one that followed is that of the second task's true end.
    assert BatchFrame.objects.filter(batch_id=batch.id).count() == before + 1
    began = [(m.number, m.attempt) for m in marks(Path(mark)) if m.word == "start"]
    assert sorted(began) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert_consistent(batch.id)


def test_claim_of_a_resumed_worker_is_abandoned(start, mark):
    """The worker is suspended between claim and start; another one runs the task meanwhile."""
    batch = submit(item("nap", seconds=0.05, mark=mark))
    sleeper = start("after-claim=pause")
    wait_until_suspended(sleeper.pid)
    heir = start()
    [task] = batch.wait().tasks()
    frames = BatchFrame.objects.filter(batch_id=batch.id).count()
    resume(sleeper.pid)
    eventually(lambda: WorkerNode.objects.filter(pid=sleeper.pid, state="active").exclude(pk=sleeper.worker_name))
    assert (task["attempt"], task["worker"]) == (2, heir.worker_name)
    assert BatchFrame.objects.filter(batch_id=batch.id).count() == frames
    assert batch.tasks() == [task]
    assert_consistent(batch.id)
    # The one that woke up works again, with all of its slots.
    heir.terminate()
    again = submit(*[item("meet", mark=f"{mark}-again", count=4) for _ in range(4)], max_concurrent=4)
    assert {task["attempt"] for task in again.wait().tasks()} == {1}


if ON_POSTGRESQL:  # SQLite has one lock for all, and nothing could take it away

    def test_suspended_commit_does_not_block_its_batch(start, mark):
        batch = submit(item("nap", seconds=0.05, mark=mark))
        sleeper = start("claim-uncommitted=pause")
        wait_until_suspended(sleeper.pid)
        heir = start()
        [task] = batch.wait().tasks()
        # Its claim was never committed, so that there was nothing to rescue and nothing to charge.
        assert (task["attempt"], task["worker"], task["retry_count"]) == (1, heir.worker_name, 0)
        heir.terminate()
        resume(sleeper.pid)
        # It works again, under any name.
        assert submit(item("nap", seconds=0.05, mark=mark)).wait().statuses() == ["completed"]
        assert batch.tasks() == [task]
        assert_consistent(batch.id)

    class Frozen(threading.Thread):
        """A completer's transaction that is suspended after its `number`th statement."""

        def __init__(self, batch_id: str, number: int):
            super().__init__(daemon=True)
            self.batch_id, self.number, self.statements, self.backend = batch_id, number, 0, 0
            self.stands, self.goes_on = threading.Event(), threading.Event()

        def run(self):
            try:
                set_idle_in_transaction_timeout(0.1)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    [self.backend] = cursor.fetchone()
                with connection.execute_wrapper(self._freeze), BatchQueue([self.batch_id], "sleeper") as queue:
                    first, second = queue.claim_more(2, "sleeper")
                    outcomes = [Completed(first.claim, 1.0, "{}"), Failed(second.claim, 1.0, "it broke", "ValueError")]
                    queue.record_outcomes(outcomes, "sleeper")
                    fill_slots(queue)
            except DatabaseError:
                pass  # as it should be
            finally:
                self.stands.set()
                connection.close()

        def _freeze(self, execute, *statement):
            answer = execute(*statement)
            if not self.goes_on.is_set():  # what comes later only tidies up
                self.statements += 1
                if self.statements == self.number:
                    self.stands.set()
                    self.goes_on.wait(60)
            return answer

    def test_transaction_suspended_after_any_statement_is_ended(shared_db):
        batch = submit(*[item("nap", seconds=0)] * 10, max_concurrent=5)
        sleeper, number = None, 0
        while sleeper is None or sleeper.statements == number:
            number += 1
            sleeper = Frozen(batch.id, number)
            sleeper.start()
            assert sleeper.stands.wait(60)
            try:
                eventually(lambda pid=sleeper.backend: not is_connected(pid), what=f"{number} is ended")
            finally:
                sleeper.goes_on.set()
                sleeper.join(60)
        assert number > 10

    def test_transaction_suspended_after_its_first_round_trip_is_ended(shared_db):
        """The test above observes each statement and so sends them singly; here the first share a round trip."""
        batch = submit(item("nap", seconds=0))
        stands, goes_on = threading.Event(), threading.Event()

        def freeze() -> None:
            set_idle_in_transaction_timeout(0.1)
            try:
                with BatchQueue([batch.id], "sleeper"):
                    stands.set()
                    goes_on.wait(60)
            finally:
                connection.close()

        with ThreadPoolExecutor() as threads:
            sleeper = threads.submit(freeze)
            assert stands.wait(60)
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '5s'")
                    cursor.execute("SELECT 1 FROM executor_batch WHERE batch_id = %s FOR UPDATE", [batch.id])
            finally:
                goes_on.set()
            with pytest.raises(DatabaseError):
                sleeper.result(60)

    def is_connected(backend: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [backend])
            return cursor.fetchone() is not None

    def test_idle_transaction_timeout_applies_to_requests_only(shared_db):
        assert RequestThreadPool(0).submit(limit).result(60) == "1min"
        with ThreadPoolExecutor() as threads:
            assert threads.submit(limit).result(60) == "0"

    def limit() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            [answer] = cursor.fetchone()
        connection.close()
        return answer
