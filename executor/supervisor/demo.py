"""`up --demo`: a batch of 200 varied tasks, to have something to look at. Run as a process of its own, because
talking to Redis starts threads and the supervisor must have none."""

import random

TASKS = 200
STEPS = ("Fetch", "Parse", "Translate", "Summarise", "Check", "Render", "Index", "Archive")


def demo_tasks(count: int = TASKS, seed: int = 7) -> list[dict]:
    """Short and long, safe and flaky, of all priorities; the same ones every time."""
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


def fill() -> str:
    """Add the batch in the operator's name and start it; the answer's sentence."""
    from executor.access import caller_of_shell, caller_of_user, someone_in_charge
    from executor.actions import BatchExecutor

    someone = someone_in_charge()
    caller = caller_of_user(someone) if someone else caller_of_shell()
    response = BatchExecutor(caller).execute(
        "add_batch", name="Demo", tasks=demo_tasks(), start=True, max_concurrent=10
    )
    return response.message


if __name__ == "__main__":
    import django

    django.setup()
    print(fill())  # noqa: T201 - into the supervisor's log
