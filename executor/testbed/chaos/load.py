"""The tasks of a chaos run, and the expected outcome of each kind."""

from __future__ import annotations

import random

MANY_RETRIES = 100  # for a task that must complete under every fault of its workers

PRIORITY_WEIGHTS = {"critical": 1, "high": 2, "medium": 5, "low": 2}
# kind → weight
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
    """Return `count` tasks, of which `deadly` kill their worker. The kind is the first part of the custom id."""
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count - deadly) + ["kills_worker"] * deadly
    chance.shuffle(kinds)
    return [_task(chance, kind, f"{kind}:{label}:{number}") for number, kind in enumerate(kinds, 1)]


def _task(chance: random.Random, kind: str, custom_id: str) -> dict:
    seconds = round(chance.uniform(0.0, 0.05), 3)
    task = {
        "good": {"function": "chaos_nap", "params": {"seconds": seconds}, "max_retries": MANY_RETRIES},
        "plain": {"function": "chaos_plain", "params": {"seconds": seconds}, "max_retries": MANY_RETRIES},
        "slow": {"function": "chaos_nap", "params": {"seconds": 20 * seconds}, "max_retries": MANY_RETRIES},
        "flaky": {"function": "chaos_nap", "params": {"fail_times": chance.randint(1, 3)}, "max_retries": MANY_RETRIES},
        "bad": {"function": "chaos_plain", "params": {"fail_times": 1000}, "max_retries": 2},
        "kills_child": {"function": "chaos_kills_child", "params": {}, "max_retries": 1},
        "kills_worker": {"function": "chaos_kills_worker", "params": {}, "max_retries": 1},
    }[kind]
    priority = chance.choices([*PRIORITY_WEIGHTS], [*PRIORITY_WEIGHTS.values()])[0]
    return {**task, "custom_id": custom_id, "priority": priority, "retry_delay": chance.choice((0, 0, 0.1))}
