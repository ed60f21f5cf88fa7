"""A new action is one file: route, OpenAPI entry, command-line verb and button come from the registry."""

import argparse
import io
import json

import pytest
from django.test import RequestFactory
from ninja import NinjaAPI
from pydantic import Field

from executor.access import caller_of_shell
from executor.actions import ACTIONS, Response, buttons
from executor.actions.call import Call, Parameters
from executor.actions.registry import Button, action
from executor.actions.selector import Selector
from executor.api.actions import add_action_routes
from executor.api.rendering import Renderer
from executor.cli import add_verbs, run
from executor.domain.parameter_types import BatchName


@pytest.fixture
def pause(monkeypatch):
    """Register an action for one test."""
    monkeypatch.setattr("executor.actions.registry.ACTIONS", ACTIONS)
    before = dict(ACTIONS)

    class PauseParameters(Parameters):
        batch: BatchName
        minutes: int = Field(5, description="How long, in minutes.")
        quiet: bool = False

    @action("control", {"minutes": 5})
    def pause_batch(call: Call, parameters: PauseParameters) -> Response:
        """Pause a batch for some minutes."""
        return Response(True, f"Paused for {parameters.minutes} minutes.", {"minutes": parameters.minutes})

    yield ACTIONS["pause_batch"]
    ACTIONS.clear()
    ACTIONS.update(before)


def test_registered_action_has_a_verb_with_flags(pause, db):
    parser = argparse.ArgumentParser()
    add_verbs(parser)
    options = vars(parser.parse_args(["pause-batch", "--minutes", "7", "--quiet"]))
    assert (options["minutes"], options["quiet"]) == ("7", True)
    out = io.StringIO()
    assert run(options.pop("verb"), options, out, io.StringIO()) == 0
    assert out.getvalue() == "Paused for 7 minutes.\n"


def test_registered_action_has_a_route_and_an_openapi_entry(pause, db):
    api = NinjaAPI(urls_namespace="throw-away", renderer=Renderer(), auth=lambda request: caller_of_shell())
    add_action_routes(api)
    entry = api.get_openapi_schema(path_prefix="/api/")["paths"]["/api/pause_batch"]["post"]
    assert entry["summary"] == "Pause a batch for some minutes."
    fields = entry["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert fields["minutes"]["description"] == "How long, in minutes."
    view = next(pattern.callback for pattern in api.urls[0] if pattern.name == "pause_batch")
    body = json.dumps({"minutes": 3}).encode()
    request = RequestFactory().post("/api/pause_batch", body, content_type="application/json")
    assert json.loads(view(request).content)["data"] == {"minutes": 3}


def test_registered_action_has_a_button(pause):
    [button] = [each for each in buttons("batch") if each["action"] == "pause_batch"]
    assert (button["label"], button["scope"], button["arguments"]) == ("Pause batch", "control", {})
    assert json.dumps(button), "the scripts get it as JSON"


def test_registered_action_on_tasks_has_a_button_for_them(pause):
    @action("control", {"batch": "x"})
    def archive(call: Call, parameters: Selector) -> Response:
        """Archive tasks."""
        return Response(True, "Archived.")

    assert "archive" in {button["action"] for button in buttons("tasks")}


def test_reading_actions_have_no_buttons():
    assert not {"status", "results", "export", "wait"} & {
        button["action"] for target in ("batch", "tasks") for button in buttons(target)
    }


def test_buttons_send_parameters_of_their_action():
    for entry in ACTIONS.values():
        for button in entry.buttons:
            assert isinstance(button, Button)
            assert {*button.arguments, *button.fields} <= set(entry.parameters.model_fields), entry.name
            assert ("task_ids" if button.target == "tasks" else "batch") in entry.parameters.model_fields
            assert not button.preview or "dry_run" in entry.parameters.model_fields
