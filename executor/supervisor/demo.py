"""`up --demo`: a batch of 200 varied tasks.

It runs as a separate process: adding tasks starts threads, which the supervisor must not have.
"""

import random

TASKS = 200
STEPS = ("Fetch", "Parse", "Translate", "Summarise", "Check", "Render", "Index", "Archive")


def demo_tasks(count: int = TASKS, seed: int = 7) -> list[dict]:
    """Return short and long, reliable and flaky tasks of all priorities; the same for the same seed."""
    chance = random.Random(seed)
    tasks = []
    for number in range(1, count + 1):
        flaky = number % 7 == 0
        tasks.append(
            {
                "function": "simulate",
                "name": f"{chance.choice(STEPS)} page {number}",
                "priority": chance.choices(("critical", "high", "medium", "low"), (5, 20, 50, 25))[0],
                "params": {
                    "duration": round(chance.choice((0.2, 0.5, 1, 2)) * chance.uniform(0.5, 1.5), 2),
                    "jitter": round(chance.uniform(0, 0.3), 2),
                    "failure_rate": 0.5 if flaky else 0.02,
                },
                "max_retries": 2 if flaky else 3,
                "retry_delay": 1 if flaky else 0.5,
            }
        )
    return tasks


def add_demo_batch() -> str:
    """Add and start the batch as the default operator; return the response's message."""
    from executor.access import caller_of_shell, caller_of_user, default_operator
    from executor.actions import BatchExecutor

    user = default_operator()
    caller = caller_of_user(user) if user else caller_of_shell()
    response = BatchExecutor(caller).execute(
        "add_batch", name="Demo", tasks=demo_tasks(), start=True, max_concurrent=10
    )
    return response.message


if __name__ == "__main__":
    import django

    django.setup()
    print(add_demo_batch())  # noqa: T201 - into the supervisor's log
