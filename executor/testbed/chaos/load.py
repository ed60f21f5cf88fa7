"""The tasks that a chaos run hands over, and what each kind of them must come to."""

from __future__ import annotations

import random

PRIORITIES = ("critical", "high", "medium", "low")
MANY = 100  # retries of a task that must complete, whatever happens to its workers

# kind → how often it comes, and how it is made
KINDS = {
    "good": 60,
    "plain": 22,
    "slow": 6,
    "flaky": 8,
    "bad": 3,
    "kills_child": 1,
}
MUST_COMPLETE = ("good", "plain", "slow", "flaky")


def tasks(chance: random.Random, count: int, label: str, deadly: int) -> list[dict]:
    """So many tasks, `deadly` of them killing their worker. The kind is the first word of the custom id."""
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count - deadly) + ["kills_worker"] * deadly
    chance.shuffle(kinds)
    return [_task(chance, kind, f"{kind}:{label}:{number}") for number, kind in enumerate(kinds, 1)]


def _task(chance: random.Random, kind: str, custom_id: str) -> dict:
    seconds = round(chance.uniform(0.0, 0.05), 3)
    made = {
        "good": {"function": "chaos_nap", "params": {"seconds": seconds}, "max_retries": MANY},
        "plain": {"function": "chaos_plain", "params": {"seconds": seconds}, "max_retries": MANY},
        "slow": {"function": "chaos_nap", "params": {"seconds": 20 * seconds}, "max_retries": MANY},
        "flaky": {"function": "chaos_nap", "params": {"fail_times": chance.randint(1, 3)}, "max_retries": MANY},
        "bad": {"function": "chaos_plain", "params": {"fail_times": 1000}, "max_retries": 2},
        "kills_child": {"function": "chaos_kills_child", "params": {}, "max_retries": 1},
        "kills_worker": {"function": "chaos_kills_worker", "params": {}, "max_retries": 1},
    }[kind]
    priority = chance.choices(PRIORITIES, (1, 2, 5, 2))[0]
    return {**made, "custom_id": custom_id, "priority": priority, "retry_delay": chance.choice((0, 0, 0.1))}
