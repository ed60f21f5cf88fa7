"""Forms made from JSON Schema: the parameters of a task function, and fields of a pydantic model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import QueryDict

_MINUTE = "%Y-%m-%dT%H:%M"
_LONG_TEXTS = ("code", "text", "content", "stdin", "query")


class JSONField(forms.JSONField):
    """JSON in a text area, with the place of a syntax error in its message."""

    def to_python(self, value: Any) -> Any:
        """Parse the text.

        Raises ValidationError.
        """
        if isinstance(value, str) and value.strip():
            try:
                json.loads(value)
            except json.JSONDecodeError as error:
                raise forms.ValidationError(f"Not JSON: {error}.") from None
        return super().to_python(value)

    def prepare_value(self, value: Any) -> Any:
        """Return the text of the field; empty for null."""
        return "" if value is None else super().prepare_value(value)


def params_form(schema: dict, data: QueryDict | None = None) -> forms.Form:
    """Return a form with a field `p_<parameter>` for each parameter of a task function."""
    form = forms.Form(data)
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        form.fields[f"p_{name}"] = schema_field(name, resolved(part, schema), name in required)
    return form


def model_form(schema: dict, names: Iterable[str], data: QueryDict | None = None) -> forms.Form:
    """Return a form with these properties of a pydantic model, labelled by their titles.

    A property that may be a text among others is typed as text.
    """
    form = forms.Form(data)
    for name in names:
        part = resolved(schema["properties"][name], schema)
        part = {**part, **next((each for each in part.get("anyOf", []) if each.get("type") == "string"), {})}
        field = schema_field(name, part, name in schema.get("required", []))
        field.label = part.get("title", name)
        form.fields[name] = field
    return form


def filled_params(form: forms.Form, schema: dict) -> dict:
    """Return the parameters that were filled in. The function's default applies to an empty field."""
    params = {}
    for name, raw in schema.get("properties", {}).items():
        value = form.cleaned_data.get(f"p_{name}")
        part = resolved(raw, schema)
        if value in (None, "") or (value is False and not part.get("default")):
            continue
        params[name] = value
    return params


def resolved(part: dict, schema: dict) -> dict:
    """Return a property's schema without references and without the `null` of optional parameters."""
    if reference := part.get("$ref"):
        part = {**schema.get("$defs", {}).get(reference.rpartition("/")[2], {}), **part}
    options = [resolved(option, schema) for option in part.get("anyOf", []) if option.get("type") != "null"]
    return {**options[0], **part} if len(options) == 1 else part


def schema_field(name: str, part: dict, required: bool) -> forms.Field:
    """Return the form field for a property; JSON where no other field fits."""
    default = part.get("default")
    common: dict[str, Any] = {
        "required": required,
        "label": name,
        "help_text": part.get("description", ""),
        "initial": default,
    }
    bounds: dict[str, Any] = {"min_value": part.get("minimum"), "max_value": part.get("maximum")}
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
        case "string" if part.get("format") == "date-time":
            picker = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MINUTE)
            return forms.DateTimeField(widget=picker, input_formats=[_MINUTE, f"{_MINUTE}:%S"], **common)
        case "string":
            long = part.get("format") == "multiline" or name in _LONG_TEXTS
            widget = forms.Textarea(attrs={"rows": 6}) if long else forms.TextInput()
            return forms.CharField(max_length=part.get("maxLength"), strip=False, widget=widget, **common)
    return JSONField(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **common)
