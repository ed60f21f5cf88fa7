"""JSON Schemas of tools: validation, hostile schemas, and the configuration of servers."""

import pytest
from pydantic import ValidationError

from executor.agents import configuration
from executor.agents.schemas import parameters_of
from executor.views.schema_form import params_form


def faults(schema: dict, params: dict) -> list[tuple[tuple, str]]:
    try:
        parameters_of("a.tool", schema).model_validate(params)
    except ValidationError as error:
        return [(problem["loc"], problem["msg"]) for problem in error.errors()]
    return []


SCHEMA = {
    "type": "object",
    "properties": {"to": {"type": "array", "items": {"type": "string"}}, "size": {"type": "integer", "minimum": 1}},
    "required": ["to", "size"],
    "additionalProperties": False,
}


def test_validation_errors_name_their_location():
    assert faults(SCHEMA, {"to": ["a"], "size": 3}) == []
    assert faults(SCHEMA, {}) == [(("to",), "Field required"), (("size",), "Field required")]
    [(place, _)] = faults(SCHEMA, {"to": ["a", 5], "size": 3})
    assert place == ("to", 1)
    [(place, reason)] = faults(SCHEMA, {"to": [], "size": 3, "colour": "red"})
    assert place == ("colour",) and reason.endswith("to, size")


def test_secret_is_accepted_in_place_of_a_value():
    schema = {
        "type": "object",
        "properties": {"key": {"type": "string", "minLength": 20}, "login": {"type": "object"}},
        "required": ["key"],
        "anyOf": [
            {"properties": {"login": {"properties": {"code": {"pattern": "^[0-9]+$"}}}}},
            {"properties": {"login": {"maxProperties": 0}}},
        ],
    }
    secret = {"$secret": "KEY"}
    at_secrets = [place for place, _ in faults(schema, {"key": secret, "login": {"code": secret}})]
    assert at_secrets == [("key",)]  # errors at a secret are left to the worker
    assert faults(schema, {"key": "k" * 20, "login": {"code": "x"}})
    assert faults(schema, {"login": {"code": secret}}) == [(("key",), "Field required")]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"x": True, "y": False}},
        {"type": "no such type"},
        {"properties": "none"},
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/gone"}}},
        {"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}},
    ],
)
def test_invalid_schema_accepts_any_parameters(schema):
    model = parameters_of("a.tool", schema)
    assert model.model_validate({"x": 1}).root == {"x": 1}
    assert params_form(model.model_json_schema()) is not None


def test_schema_references_are_not_fetched(monkeypatch):
    def unexpected(*_, **__):
        raise AssertionError("a network request was made")

    monkeypatch.setattr("urllib.request.urlopen", unexpected)
    monkeypatch.setattr("socket.getaddrinfo", unexpected)
    assert faults({"type": "object", "properties": {"x": {"$ref": "http://169.254.169.254/s.json"}}}, {"x": 1}) == []


# --- the configuration --------------------------------------------------------------------------------------


def test_file_overrides_the_setting(tmp_path, settings, monkeypatch):
    monkeypatch.setenv("A_KEY", "of-the-environment")
    settings.AGENT_TOOLS = {
        "mcpServers": {"one": {"url": "http://a.example/mcp"}, "two": {"url": "http://b.example/${A_KEY}/mcp"}}
    }
    file = tmp_path / "tools.json"
    file.write_text('{"mcpServers": {"one": {"command": "server", "type": "stdio", "autoApprove": []}}}')
    settings.BATCH_AGENT_TOOLS = str(file)
    known = configuration.current()
    assert (known.servers["one"].type, known.servers["two"].url) == ("stdio", "http://b.example/of-the-environment/mcp")
    assert known.servers["two"].where == "http://b.example"
    assert "of-the-environment" not in repr(known)
    assert known.servers["two"].hide("at of-the-environment") == "at •••"
    file.write_text('{"mcpServers": {"three": {"command": "server"}}}')
    assert sorted(configuration.current().servers) == ["one", "three", "two"]


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": []}', "\udcff"])
def test_invalid_file_is_reported_and_ignored(text, tmp_path):
    file = tmp_path / "tools.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    given = {"mcpServers": {"one": {"url": "http://a.example/mcp"}}}
    known = configuration.read(given, str(file))
    assert known.problems[""] and list(known.servers) == ["one"]


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({}, "url is missing"),
        ({"url": "ftp://a.example"}, "http"),
        ({"url": "http://a.example", "headers": {"K": "${UNSET_OF_TESTS}"}}, "UNSET_OF_TESTS"),
        ({"url": "http://a.example", "init_timeout": "long-secret-value"}, "init_timeout"),
        ("http://a.example", "object"),
    ],
)
def test_errors_of_entries_do_not_contain_values(entry, word):
    known = configuration.read({"mcpServers": {"bad": entry, "good": {"command": "x"}, "a.b": {"command": "x"}}})
    assert word in known.problems["bad"] and "long-secret-value" not in known.problems["bad"]
    assert list(known.servers) == ["good"] and "a.b" in known.problems
