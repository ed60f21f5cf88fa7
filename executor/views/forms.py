"""The forms of a batch, of a task, and of many tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict

from executor.actions.task_formats import FORMATS
from executor.domain.task_item import TaskItem
from executor.views.schema_form import model_form

_SCHEMA = TaskItem.model_json_schema()


class TaskForm(forms.Form):
    """The fields of a task besides its function and parameters."""

    def __init__(self, data: QueryDict | None = None):
        super().__init__(data)
        names = [name for name in TaskItem.model_fields if name not in ("function", "params")]
        self.fields.update(model_form(_SCHEMA, names).fields)

    def filled(self) -> dict:
        """Return the fields that were filled in."""
        values = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


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
