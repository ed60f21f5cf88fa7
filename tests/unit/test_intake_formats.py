"""Tasks as text in JSON, JSON Lines and CSV: detection, parsing, and errors per line."""

import json

import pytest

from executor.actions.task_formats import detect, read
from executor.domain.errors import BadTasks
from executor.domain.json_text import BadLine, kind_of

ONE = {"function": "simulate", "params": {"duration": 2}}
TWO = {"function": "simulate", "custom_id": "b"}


def parse(text: str | bytes, format: str | None = None) -> list:
    """Return the tasks of a text without their lines."""
    return [line.task for line in read(text, format)]


def refused(text, format=None) -> BadTasks:
    with pytest.raises(BadTasks) as caught:
        read(text, format)
    return caught.value


def bad_lines(text) -> list[tuple[int, int]]:
    """Return the line and index of each item that is not a task."""
    lines = enumerate(read(text))
    return [(line.task.line, index) for index, line in lines if isinstance(line.task, BadLine)]


# --- detection of the format ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (json.dumps([ONE]), "json"),
        ("\n  " + json.dumps([ONE, TWO], indent=2), "json"),
        (json.dumps({"tasks": [ONE]}), "json"),
        (json.dumps({"tasks": [ONE, TWO]}, indent=1), "json"),
        (json.dumps(ONE), "jsonl"),
        (f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n", "jsonl"),
        (f"{json.dumps(ONE)}\r\n{json.dumps(TWO)}\r\n", "jsonl"),
        (f'{{"function": simulate}}\n{json.dumps(TWO)}', "jsonl"),
        ('{"defaults": {"function": "simulate"}\n, "tasks": [{}]}', "json"),
        ('{"tasks": [\n{"function": }]}', "json"),
        ("function,duration\nsimulate,1", "csv"),
        ("anything else", "csv"),
    ],
)
def test_format_is_detected(text, format):
    assert detect(text) == format


def test_explicit_format_overrides_detection():
    assert parse(json.dumps(ONE), "json") == [ONE]
    assert "function" in refused(json.dumps(ONE), "csv").message
    assert "'xml'" in refused(json.dumps(ONE), "xml").message


@pytest.mark.parametrize("text", ["", "  \n\t\n", b"", "\ufeff"])
def test_empty_text_is_rejected(text):
    assert "no tasks" in refused(text).message


# --- JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["tasks", "tool_calls", "calls", "items"])
def test_list_may_be_the_value_of_a_key(key):
    assert parse(json.dumps({key: [ONE, TWO]})) == [ONE, TWO]


def test_single_object_is_one_task():
    assert parse(json.dumps(ONE)) == parse(json.dumps(ONE, indent=2)) == [ONE]


def test_defaults_of_a_document_apply_to_missing_fields():
    text = json.dumps({"defaults": {"function": "simulate", "priority": "high"}, "tasks": [{}, {"priority": "low"}]})
    assert parse(text) == [
        {"function": "simulate", "priority": "high"},
        {"function": "simulate", "priority": "low"},
    ]


def test_tool_calls_are_read_as_tasks():
    call = {"tool_name": "simulate", "tool_args": {"duration": 1}, "custom_id": "x"}
    task = {"function": "simulate", "params": {"duration": 1}, "custom_id": "x"}
    assert parse(json.dumps([call])) == parse(json.dumps(call)) == [task]
    assert parse('[{"tool_name": "simulate"}]') == [{"function": "simulate", "params": {}}]


def test_unknown_keys_of_a_document_are_rejected():
    error = refused(json.dumps({"tasks": [ONE], "start": True, "name": "x"}))
    assert "name, start" in error.message and error.fix


def test_error_for_invalid_json_names_the_line():
    error = refused('[\n{"function": "simulate"},\n{"function": }\n]')
    assert "line 3" in error.message and error.errors[0]["line"] == 3


def test_non_objects_are_left_to_task_validation():
    assert parse('[{"function": "simulate"}, 1, null]') == [{"function": "simulate"}, 1, None]
    assert [kind_of(value) for value in (1, 1.5, "x", None, [], True, {})] == [
        "a number", "a number", "a string", "null", "a list", "a boolean", "an object",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["17", '"x"', "null", '{"tasks": {}}', '{"tasks": [], "defaults": [1]}'])
def test_other_json_documents_are_rejected(text):
    refused(text, "json")


# --- JSON Lines ----------------------------------------------------------------------------------------------


def test_empty_lines_are_skipped_but_counted():
    lines = read(f"\n{json.dumps(ONE)}\n\n{json.dumps(TWO)}\n")
    assert [(line.number, line.task) for line in lines] == [(2, ONE), (4, TWO)]


def test_all_invalid_lines_are_reported():
    text = f"{json.dumps(ONE)}\nnot json\n\n{json.dumps(TWO)}\n[1]\n" + '{"function": }'
    assert bad_lines(text) == [(2, 1), (6, 4)]
    assert [line.number for line in read(text)] == [1, 2, 4, 5, 6]


def test_all_invalid_lines_are_reported_if_the_first_is_invalid():
    assert bad_lines(f'{{"function": simulate}}\n{json.dumps(TWO)}\n{{oops}}') == [(1, 0), (3, 2)]


# --- CSV -----------------------------------------------------------------------------------------------------


def test_known_columns_are_fields_and_others_are_params():
    text = "function,name,priority,custom_id,max_retries,duration,label\nsimulate,first,high,a-1,0,2.5,plain text\n"
    assert parse(text) == [
        {
            "function": "simulate",
            "name": "first",
            "priority": "high",
            "custom_id": "a-1",
            "max_retries": "0",
            "params": {"duration": 2.5, "label": "plain text"},
        }
    ]


def test_empty_cells_are_omitted():
    assert parse("function,priority,duration,seed\nsimulate,,,7\nsimulate\n") == [
        {"function": "simulate", "params": {"seed": 7}},
        {"function": "simulate", "params": {}},
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_and_byte_order_marks_are_accepted(delimiter):
    text = f"function{delimiter}duration\r\nsimulate{delimiter}1\r\n"
    assert (
        parse("\ufeff" + text)
        == parse(text.encode("utf-8-sig"))
        == [{"function": "simulate", "params": {"duration": 1}}]
    )


def test_cells_are_parsed_as_json_if_valid():
    [task] = parse('function,a,b,c,d,e\nx,"[1, 2]",true,null,"{""k"": 1}",007\n')
    assert task["params"] == {"a": [1, 2], "b": True, "c": None, "d": {"k": 1}, "e": "007"}


def test_cells_may_contain_line_breaks():
    lines = read('function,text\nx,"one\ntwo"\nx,three\n')
    assert [line.task["params"]["text"] for line in lines] == ["one\ntwo", "three"]
    assert lines[1].number == 4


def test_rows_with_too_many_cells_are_reported():
    text = "function,duration\nsimulate,1,2\nsimulate,1\n\nsimulate,1,2,3\n"
    assert bad_lines(text) == [(2, 0), (5, 2)]
    assert [parse(text)[index].reason for index in (0, 2)] == ["3 values for 2 columns", "4 values for 2 columns"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,duration\nx,1", "`function`"),
        ("function,,duration\nx,1,2", "Column 2"),
        ("function,duration,duration\nx,1,2", "`duration`"),
    ],
)
def test_invalid_header_is_rejected(text, reason):
    error = refused(text)
    assert reason in error.message and error.errors[0]["line"] == 1


def test_header_without_rows_is_rejected():
    assert "no tasks" in refused("function,duration\n\n").message


def test_unterminated_quote_is_reported():
    assert bad_lines('function,text\nx,fine\nx,"open\n') == [(3, 1)]


# --- bytes ---------------------------------------------------------------------------------------------------


def test_error_for_invalid_utf8_names_the_line():
    error = refused(b'{"function": "simulate"}\n{"function": "caf\xe9"}\n')
    assert "line 2" in error.message and error.errors[0]["line"] == 2 and "UTF-8" in error.fix
