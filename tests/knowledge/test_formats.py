"""What is read from each kind of file."""

import io
import zipfile

import pytest

from executor.knowledge.formats import BY_NAME, Unreadable, format_of
from executor.knowledge.isolated_reader import read_contained
from tests.knowledge.files import docx, pdf


def read(name: str, data: str | bytes):
    data = data.encode() if isinstance(data, str) else data
    return format_of(name, data).read(data)


def texts(blocks) -> list[str]:
    return [block.text for block in blocks]


# --- text and Markdown ----------------------------------------------------------------------------------------------


def test_plain_text_is_paragraphs_with_their_lines():
    blocks = read("a.txt", "first\nline\n\n\nsecond\n")
    assert [(block.text, block.position) for block in blocks] == [
        ("first\nline", {"line": 1}),
        ("second", {"line": 5}),
    ]


def test_markdown_knows_the_headings_above_each_block():
    blocks = read("a.md", "intro\n\n# One\n\nA.\n\n## Two\n\n- x\n- y\n\nThree\n=====\n\nB.\n")
    assert [(block.text, block.headings, block.position["line"]) for block in blocks] == [
        ("intro", (), 1),
        ("A.", ("One",), 5),
        ("- x\n- y", ("One", "Two"), 9),
        ("B.", ("Three",), 15),
    ]


def test_a_hash_in_code_is_no_heading():
    [block] = read("a.md", "# Real\n\n```sh\n# comment\nls\n```\n")
    assert block.headings == ("Real",)
    assert "# comment\nls" in block.text


def test_front_matter_is_left_out_and_lines_keep_their_numbers():
    [block] = read("a.md", "---\ntitle: x\n---\n\nText.\n")
    assert (block.text, block.position) == ("Text.", {"line": 5})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_is_read_in_the_encoding_it_was_written_in(encoding):
    assert texts(read("a.txt", "Größe – naïve".encode(encoding))) == ["Größe – naïve"]


def test_what_databases_refuse_is_taken_out():
    [block] = read("a.txt", b"a\x00b".replace(b"\x00", b"\x01") + b"\xef\xbb\xbf\r\nc\x0c")
    assert "\x01" not in block.text and "\ufeff" not in block.text and "\r" not in block.text


# --- HTML -------------------------------------------------------------------------------------------------------------


def test_html_gives_what_a_reader_sees_under_its_headings():
    page = """<html><head><title>T</title><style>p{}</style></head><body><nav><a>menu</a></nav>
        <h1>Big</h1><p>Some <b>bold</b>
          text.</p><script>evil()</script><h2>Small</h2><ul><li>one</li><li>two</li></ul>
        <table><tr><td>a</td><td>b</td></tr></table><pre>x
  y</pre></body></html>"""
    assert [(block.text, block.headings) for block in read("a.html", page)] == [
        ("Some bold text.", ("Big",)),
        ("one", ("Big", "Small")),
        ("two", ("Big", "Small")),
        ("a | b", ("Big", "Small")),
        ("x\n  y", ("Big", "Small")),
    ]


def test_html_without_headings_stands_under_its_title():
    [block] = read("a.html", "<title>The title</title><p>Text")
    assert block.headings == ("The title",)


def test_a_page_nested_very_deeply_is_read_in_time():
    assert isinstance(read("a.html", "<p>top</p>" + "<b>" * 2_000 + "deep"), list)


# --- PDF and DOCX -------------------------------------------------------------------------------------------------


def test_pdf_gives_its_text_with_the_page():
    blocks = read("a.pdf", pdf("The first page.", "The second page."))
    assert [(block.text, block.position) for block in blocks] == [
        ("The first page.", {"page": 1}),
        ("The second page.", {"page": 2}),
    ]


def test_docx_gives_paragraphs_and_rows_under_headings():
    parts = (("Title", "Doc"), ("Heading 1", "One"), ("Normal", "Text."), ("Heading 2", "Two"), ("Table", "a|b"))
    blocks = read("a.docx", docx(*parts))
    assert [(block.text, block.headings) for block in blocks] == [("Text.", ("One",)), ("a | b", ("One", "Two"))]


def test_a_docx_that_unpacks_to_gigabytes_is_refused():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as file:
        for _ in range(310):
            file.write(bytes(1024 * 1024))
    with pytest.raises(Unreadable, match="too large"):
        read("a.docx", packed.getvalue())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF"),
        ("a.pdf", b"not at all"),
        ("a.docx", b"PK\x03\x04 broken"),
        ("a.docx", b"hello"),
        ("a.json", b"{]"),
        ("a.json", b"[" * 100_000),
        ("a.bin", b"\x7fELF\x00\x00\x01"),
    ],
)
def test_what_cannot_be_read_says_so(name, data):
    with pytest.raises(Unreadable):
        read(name, data)


def test_a_reader_that_crashes_costs_only_its_process(monkeypatch):
    monkeypatch.setattr("executor.knowledge.isolated_reader.SECONDS", 0.001)
    with pytest.raises(Unreadable, match="longer than"):
        read_contained(BY_NAME["pdf"], pdf("x"))


# --- CSV and JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_csv_gives_each_row_with_its_column_names(sign):
    blocks = read("a.csv", f"name{sign}age\nAda{sign}36\n\nBob{sign}\n")
    assert [(block.text, block.position) for block in blocks] == [
        ("name: Ada; age: 36", {"row": 2}),
        ("name: Bob", {"row": 4}),
    ]


def test_json_gives_each_item_as_paths_and_values():
    blocks = read("a.json", '[{"name": "Ada", "at": {"city": "London"}, "tags": ["x", "y"]}, {"n": null}, 7]')
    assert texts(blocks) == ["name: Ada\nat.city: London\ntags: x\ntags: y", "7"]
    assert [block.position for block in blocks] == [{"item": 1}, {"item": 3}]


def test_json_lines_and_objects():
    assert texts(read("a.jsonl", '{"a": 1}\n\n{"a": 2}\n')) == ["a: 1", "a: 2"]
    [block] = read("a.json", '{"limits": {"most": 5}}')
    assert (block.text, block.headings) == ("most: 5", ("limits",))


def test_an_unknown_ending_is_read_when_it_is_text():
    assert texts(read("Makefile", "all:\n\techo")) == ["all:\n\techo"]
    assert texts(read("scan", pdf("By its first bytes."))) == ["By its first bytes."]


# --- hostile files ----------------------------------------------------------------------------------------------------

LONG = 200_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dots.md", "." * LONG),
        ("dots.txt", ". " * LONG),
        ("marks.txt", "?!" * LONG),
        ("quotes.txt", '."' * LONG),
        ("one-word.txt", "x" * 20 * LONG),
        ("open.html", "<div>" * 2_900 + "in the middle"),
        ("unclosed.html", "<p>one<li>two" * (LONG // 20)),
    ],
)
def test_a_file_made_to_be_slow_is_read_in_a_moment(name, text, monkeypatch):
    monkeypatch.setattr("executor.knowledge.isolated_reader.SECONDS", 20)  # those that they were slow with took hours
    data = text.encode()
    assert read_contained(format_of(name, data), data).pieces


def test_elements_that_stand_too_deep_within_each_other_are_refused():
    with pytest.raises(Unreadable, match="within each other"):
        read("deep.html", "<div>" * 100_000)
