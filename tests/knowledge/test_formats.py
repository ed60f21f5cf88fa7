"""Text and structure read from each file format."""

import io
import zipfile

import pytest

from executor.knowledge.formats import BY_NAME, Unreadable, format_of
from executor.knowledge.isolated_reader import parse_isolated
from tests.knowledge.files import docx, pdf


def read(name: str, data: str | bytes):
    data = data.encode() if isinstance(data, str) else data
    return format_of(name, data).read(data)


def texts(blocks) -> list[str]:
    return [block.text for block in blocks]


# --- text and Markdown ----------------------------------------------------------------------------------------------


def test_plain_text_yields_paragraphs_with_line_numbers():
    blocks = read("a.txt", "first\nline\n\n\nsecond\n")
    assert [(block.text, block.position) for block in blocks] == [
        ("first\nline", {"line": 1}),
        ("second", {"line": 5}),
    ]


def test_markdown_blocks_have_the_headings_above_them():
    blocks = read("a.md", "intro\n\n# One\n\nA.\n\n## Two\n\n- x\n- y\n\nThree\n=====\n\nB.\n")
    assert [(block.text, block.headings, block.position["line"]) for block in blocks] == [
        ("intro", (), 1),
        ("A.", ("One",), 5),
        ("- x\n- y", ("One", "Two"), 9),
        ("B.", ("Three",), 15),
    ]


def test_hash_in_code_is_not_a_heading():
    [block] = read("a.md", "# Real\n\n```sh\n# comment\nls\n```\n")
    assert block.headings == ("Real",)
    assert "# comment\nls" in block.text


def test_front_matter_is_skipped_and_line_numbers_are_kept():
    [block] = read("a.md", "---\ntitle: x\n---\n\nText.\n")
    assert (block.text, block.position) == ("Text.", {"line": 5})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encoding_of_text_is_detected(encoding):
    assert texts(read("a.txt", "Größe – naïve".encode(encoding))) == ["Größe – naïve"]


def test_control_characters_are_removed():
    [block] = read("a.txt", b"a\x00b".replace(b"\x00", b"\x01") + b"\xef\xbb\xbf\r\nc\x0c")
    assert "\x01" not in block.text and "\ufeff" not in block.text and "\r" not in block.text


# --- HTML -------------------------------------------------------------------------------------------------------------


def test_html_yields_visible_text_under_its_headings():
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


def test_html_without_headings_uses_its_title():
    [block] = read("a.html", "<title>The title</title><p>Text")
    assert block.headings == ("The title",)


def test_deeply_nested_page_is_read_in_time():
    assert isinstance(read("a.html", "<p>top</p>" + "<b>" * 2_000 + "deep"), list)


# --- PDF and DOCX -------------------------------------------------------------------------------------------------


def test_pdf_yields_text_with_page_numbers():
    blocks = read("a.pdf", pdf("The first page.", "The second page."))
    assert [(block.text, block.position) for block in blocks] == [
        ("The first page.", {"page": 1}),
        ("The second page.", {"page": 2}),
    ]


def test_docx_yields_paragraphs_and_rows_under_headings():
    parts = (("Title", "Doc"), ("Heading 1", "One"), ("Normal", "Text."), ("Heading 2", "Two"), ("Table", "a|b"))
    blocks = read("a.docx", docx(*parts))
    assert [(block.text, block.headings) for block in blocks] == [("Text.", ("One",)), ("a | b", ("One", "Two"))]


def test_docx_decompression_bomb_is_rejected():
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
def test_unreadable_files_are_rejected_with_a_reason(name, data):
    with pytest.raises(Unreadable):
        read(name, data)


def test_crash_of_a_reader_is_contained(monkeypatch):
    monkeypatch.setattr("executor.knowledge.isolated_reader.TIMEOUT", 0.001)
    with pytest.raises(Unreadable, match="longer than"):
        parse_isolated(BY_NAME["pdf"], pdf("x"))


# --- CSV and JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_csv_yields_rows_with_column_names(sign):
    blocks = read("a.csv", f"name{sign}age\nAda{sign}36\n\nBob{sign}\n")
    assert [(block.text, block.position) for block in blocks] == [
        ("name: Ada; age: 36", {"row": 2}),
        ("name: Bob", {"row": 4}),
    ]


def test_json_yields_items_as_paths_and_values():
    blocks = read("a.json", '[{"name": "Ada", "at": {"city": "London"}, "tags": ["x", "y"]}, {"n": null}, 7]')
    assert texts(blocks) == ["name: Ada\nat.city: London\ntags: x\ntags: y", "7"]
    assert [block.position for block in blocks] == [{"item": 1}, {"item": 3}]


def test_json_lines_and_objects():
    assert texts(read("a.jsonl", '{"a": 1}\n\n{"a": 2}\n')) == ["a: 1", "a: 2"]
    [block] = read("a.json", '{"limits": {"most": 5}}')
    assert (block.text, block.headings) == ("most: 5", ("limits",))


def test_unknown_suffix_is_read_as_text():
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
def test_files_made_to_be_slow_are_read_in_time(name, text, monkeypatch):
    monkeypatch.setattr("executor.knowledge.isolated_reader.TIMEOUT", 20)  # those that they were slow with took hours
    data = text.encode()
    assert parse_isolated(format_of(name, data), data).pieces


def test_too_deeply_nested_elements_are_rejected():
    with pytest.raises(Unreadable, match="are nested"):
        read("deep.html", "<div>" * 100_000)
