"""The forms of a batch, of a task, and of many tasks."""

from __future__ import annotations

from typing import Any

from django import forms

from executor.actions.task_formats import FORMATS
from executor.domain import states

PRIORITIES = [(priority.label, priority.label.capitalize()) for priority in states.PRIORITIES]


class TaskForm(forms.Form):
    """The fields of a task besides its function and parameters."""

    name = forms.CharField(max_length=200, required=False)
    priority = forms.ChoiceField(choices=PRIORITIES, initial="medium")
    custom_id = forms.CharField(max_length=200, required=False, label="Custom id", help_text="Unique in the batch.")
    max_retries = forms.IntegerField(min_value=0, initial=3, label="Retries")
    retry_delay = forms.FloatField(
        min_value=0,
        required=False,
        label="Retry delay",
        help_text="Seconds before the first retry; 1 by default, 0 for none.",
    )
    timeout = forms.FloatField(
        min_value=0.001,
        required=False,
        help_text="Seconds an attempt may take; the workers' limit by default.",
    )
    run_at = forms.DateTimeField(
        required=False,
        label="Not before",
        help_text="Date and time, UTC.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )

    def filled(self) -> dict:
        """Return the fields that were filled in."""
        values = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        if "run_at" in values:
            values["run_at"] = values["run_at"].isoformat()
        return values


class ManyForm(forms.Form):
    """Many tasks, pasted or uploaded."""

    text = forms.CharField(required=False, strip=False, label="Tasks", widget=forms.Textarea(attrs={"rows": 12}))
    file = forms.FileField(required=False, label="or a file")
    format = forms.ChoiceField(required=False, choices=[("", "Detect"), *((name, name.upper()) for name in FORMATS)])

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not values.get("file") and not (values.get("text") or "").strip():
            raise forms.ValidationError("Paste tasks or choose a file.")
        return values

    def content(self) -> str | bytes:
        """Return the file, or the pasted text."""
        file = self.cleaned_data.get("file")
        return file.read() if file else self.cleaned_data["text"]


class BatchForm(forms.Form):
    """A new batch."""

    name = forms.CharField(max_length=200, required=False, label="Batch name")
    max_concurrent = forms.IntegerField(min_value=1, max_value=100_000, initial=5, label="Tasks running at once")
