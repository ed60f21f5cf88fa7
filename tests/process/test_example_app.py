"""The example app of docs/task-functions.md runs."""

import json
import subprocess
import sys

from executor.processes.layout import PROJECT

# Adds a task for each function of the example app, runs a worker until the queues are empty, and prints the results.
RUN_EXAMPLE = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from executor.access import caller_of_shell
from executor.actions import BatchExecutor
executor = BatchExecutor(caller_of_shell())
tasks = json.loads(sys.argv[1])
batch = executor.execute("add_batch", tasks=tasks, start=True).data["batch_id"]
call_command("rqworker", "critical", "high", "medium", "low", burst=True)
print(json.dumps(executor.execute("results", batch=batch).data["results"]))
"""


def test_example_app_runs(shared_db: None, valkey: object, child_environment: dict[str, str]) -> None:
    tasks = [
        {"function": "count_words", "params": {"text": "a rose is a rose", "top": 2}},
        {"function": "count_primes", "params": {"limit": 2000}},
        {"function": "invoice_total", "params": {"lines": [{"article": "tea", "price": "4.50", "pieces": 2}]}},
        {"function": "post_event", "params": {"url": "http://127.0.0.1:9/", "event": {}}, "max_retries": 0},
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN_EXAMPLE, json.dumps(tasks)],
        cwd=PROJECT,
        env={**child_environment, "BATCH_APPS": "docs.example_app"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    words, primes, invoice, event = json.loads(done.stdout.splitlines()[-1])
    assert words["result"] == {"words": 5, "top": [["a", 2], ["rose", 2]]}
    assert primes["result"] == 303
    assert invoice["result"] == {"net": "9.00", "gross": "10.71"}
    assert (event["status"], event["error_kind"]) == ("failed", "ConnectError")
