"""Statuses and priorities on the pages, from the registry in `executor.domain.states`."""

from __future__ import annotations

from django import template
from django.utils.html import json_script
from django.utils.safestring import SafeString

from executor.domain.states import CLEARED, PRIORITIES, STATUS_SPECS, TaskStatus

register = template.Library()


def states_data() -> dict:
    """Return the registry of statuses and priorities for the scripts."""
    return {
        "statuses": [
            {
                "name": str(status),
                "letter": spec.letter,
                "tone": spec.tone,
                "final": spec.is_final,
                "in_bar": spec.in_bar,
            }
            for status, spec in STATUS_SPECS.items()
        ],
        "cleared": CLEARED,
        "priorities": [priority.label for priority in PRIORITIES],
    }


@register.simple_tag
def states_json() -> SafeString:
    """Return `states_data` as the script element that static/executor/js/states.js reads."""
    return json_script(states_data(), "states")


@register.filter
def tone(status: str) -> str:
    """Return the tone of a task's status: the value of `data-tone` in status.css."""
    return STATUS_SPECS[TaskStatus(status)].tone


@register.inclusion_tag("executor/_bar.html")
def progress_bar(batch: dict) -> dict:
    """Return one segment for each status, as SVG attributes because inline styles are forbidden."""
    total = batch["stats"]["total_tasks"]
    segments, start = [], 0.0
    for status, spec in STATUS_SPECS.items():
        if spec.in_bar:
            width = 100 * batch["request_counts"][status] / total if total else 0.0
            segments.append({"status": status, "tone": spec.tone, "x": f"{start:.3f}%", "width": f"{width:.3f}%"})
            start += width
    return {"segments": segments, "done": batch["stats"]["progress_percentage"]}
