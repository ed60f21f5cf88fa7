"""Forms of the pages. The parameters' form is made from a task function's JSON Schema."""

from __future__ import annotations

import json

from django import forms

from executor.actions.task_formats import FORMATS
from executor.domain.states import Priority

PRIORITIES = [(priority.label, priority.label.capitalize()) for priority in reversed(Priority)]


class JSONField(forms.JSONField):
    """JSON in a text area; Django's own answer to bad JSON does not say where it is bad."""

    def to_python(self, value):
        if isinstance(value, str) and value.strip():
            try:
                json.loads(value)
            except json.JSONDecodeError as error:
                raise forms.ValidationError(f"Not JSON: {error}.") from None
        return super().to_python(value)

    def prepare_value(self, value):
        return "" if value is None else super().prepare_value(value)


class TaskForm(forms.Form):
    """What every task has, whatever its function."""

    name = forms.CharField(max_length=200, required=False)
    priority = forms.ChoiceField(choices=PRIORITIES, initial="medium")
    custom_id = forms.CharField(max_length=200, required=False, label="Custom id", help_text="Unique in the batch.")
    max_retries = forms.IntegerField(min_value=0, initial=3, label="Retries")
    retry_delay = forms.FloatField(
        min_value=0,
        required=False,
        label="Retry delay",
        help_text="Seconds before the first retry; 1 unless you say other, 0 is at once.",
    )
    timeout = forms.FloatField(
        min_value=0.001,
        required=False,
        help_text="Seconds an attempt may take; the workers' own limit unless you say other.",
    )
    run_at = forms.DateTimeField(
        required=False,
        label="Not before",
        help_text="Date and time, UTC.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )

    def given(self) -> dict:
        """The arguments that were filled in."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        if "run_at" in given:
            given["run_at"] = given["run_at"].isoformat()
        return given


class ManyForm(forms.Form):
    """Many tasks at once, pasted or uploaded."""

    text = forms.CharField(required=False, strip=False, label="Tasks", widget=forms.Textarea(attrs={"rows": 12}))
    file = forms.FileField(required=False, label="or a file")
    format = forms.ChoiceField(
        required=False, choices=[("", "Recognise by itself"), *((name, name.upper()) for name in FORMATS)]
    )

    def clean(self):
        given = super().clean()
        if not given.get("file") and not (given.get("text") or "").strip():
            raise forms.ValidationError("Paste tasks or choose a file.")
        return given

    def content(self) -> str | bytes:
        file = self.cleaned_data.get("file")
        return file.read() if file else self.cleaned_data["text"]


class BatchForm(forms.Form):
    """A new batch."""

    name = forms.CharField(max_length=200, required=False, label="Batch name")
    max_concurrent = forms.IntegerField(min_value=1, max_value=100_000, initial=5, label="Tasks running at once")


def params_form(schema: dict, data=None) -> forms.Form:
    """A form with one field for each parameter of the schema, named `p_<parameter>`."""
    form = forms.Form(data, prefix=None)
    required = schema.get("required", [])
    for name, raw in schema.get("properties", {}).items():
        form.fields[f"p_{name}"] = _field(name, _resolved(raw, schema), name in required)
    return form


def given_params(form: forms.Form, schema: dict) -> dict:
    """The parameters that were filled in. An empty field leaves the function's own default in force."""
    params = {}
    for name, raw in schema.get("properties", {}).items():
        value = form.cleaned_data.get(f"p_{name}")
        part = _resolved(raw, schema)
        if value in (None, "") or (value is False and not part.get("default")):
            continue
        params[name] = value
    return params


def _resolved(part: dict, schema: dict) -> dict:
    """A property's schema without references and without the `or null` of optional parameters."""
    if reference := part.get("$ref"):
        part = {**schema.get("$defs", {}).get(reference.rpartition("/")[2], {}), **part}
    options = [_resolved(option, schema) for option in part.get("anyOf", []) if option.get("type") != "null"]
    return {**options[0], **part} if len(options) == 1 else part


def _field(name: str, part: dict, required: bool) -> forms.Field:
    """The form field that fits a property; whatever has no field of its own is typed as JSON."""
    default = part.get("default")
    common = {
        "required": required,
        "label": name,
        "help_text": part.get("description", ""),
        "initial": default,
    }
    bounds = {"min_value": part.get("minimum"), "max_value": part.get("maximum")}
    match part.get("type"):
        case _ if "enum" in part:
            blank = [] if required or default is not None else [("", "—")]
            return forms.ChoiceField(choices=[*blank, *((value, value) for value in part["enum"])], **common)
        case "boolean":
            return forms.BooleanField(**{**common, "required": False})
        case "integer":
            return forms.IntegerField(**bounds, **common)
        case "number":
            return forms.FloatField(**bounds, widget=forms.NumberInput(attrs={"step": "any"}), **common)
        case "string":
            long = part.get("format") == "multiline" or name in ("code", "text", "content", "stdin", "query")
            widget = forms.Textarea(attrs={"rows": 6}) if long else forms.TextInput()
            return forms.CharField(max_length=part.get("maxLength"), strip=False, widget=widget, **common)
    return JSONField(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **common)
