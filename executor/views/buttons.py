"""The buttons of a batch and of its tasks, from the registry of actions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django import forms

from executor.actions import ACTIONS, Button
from executor.views.schema_form import model_form

BATCH_BUTTONS = tuple(button for entry in ACTIONS.values() for button in entry.buttons if button.target == "batch")
TASK_BUTTONS = tuple(button for entry in ACTIONS.values() for button in entry.buttons if button.target == "tasks")


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


def batch_buttons(batch: dict, scopes: set[str] | frozenset[str], place: str) -> list[BatchButton]:
    """Return the buttons at a place of the page that the scopes permit."""
    return [BatchButton(each, batch) for each in BATCH_BUTTONS if each.place == place and each.scope in scopes]


def task_buttons(scopes: set[str] | frozenset[str]) -> list[Button]:
    """Return the buttons for selected tasks that the scopes permit."""
    return [button for button in TASK_BUTTONS if button.scope in scopes]
