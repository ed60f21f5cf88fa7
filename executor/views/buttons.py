"""The buttons of a batch and of its tasks, from the registry of actions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from django import forms

from executor.actions import ACTIONS, Button
from executor.views.schema_form import model_form


@dataclass(frozen=True)
class BatchButton:
    """A button on the page of a batch."""

    button: Button
    batch: dict

    @property
    def is_hidden(self) -> bool:
        """Whether the button has no effect in the state of the batch."""
        return self.batch["state"] not in self.button.states

    @cached_property
    def form(self) -> forms.Form:
        """Return the fields beside the button, with the values of the batch."""
        schema = ACTIONS[self.button.action].parameters.model_json_schema()
        form = model_form(schema, self.button.fields)
        form.initial = {name: self.batch.get(name) for name in self.button.fields}
        return form


def batch_buttons(batch: dict, scopes: Collection[str], place: str) -> list[BatchButton]:
    """Return the buttons at a place of the page that the scopes permit."""
    return [BatchButton(button, batch) for button in _buttons("batch", scopes) if button.place == place]


def task_buttons(scopes: Collection[str]) -> list[Button]:
    """Return the buttons for selected tasks that the scopes permit."""
    return _buttons("tasks", scopes)


def _buttons(target: str, scopes: Collection[str]) -> list[Button]:
    buttons = [button for entry in ACTIONS.values() for button in entry.buttons]
    return [button for button in buttons if button.target == target and button.scope in scopes]
