"""`manage.py knowledge`."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from executor.models import Document
from tests.knowledge.files import pdf

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("knowledge", *words, stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "manual.md").write_text("# Manual\n\nA login link is valid for 24 hours.\n")
    (tmp_path / "sub" / "a.pdf").write_bytes(pdf("Trains leave at noon."))
    (tmp_path / "sub" / "picture.png").write_bytes(b"\x89PNG\x00")
    (tmp_path / ".hidden" / "secret.txt").write_text("hidden")
    return tmp_path


def test_folder_can_be_added_searched_listed_and_removed(folder):
    lines = run("add", str(folder), "--area", "docs", "--metadata", "year=2026,by=me").splitlines()
    assert [line.split()[0] for line in lines] == ["added", "added"]
    assert Document.objects.get(title="Manual").metadata == {"year": "2026", "by": "me"}
    assert Document.objects.get(title="Manual").source == str(folder / "manual.md")

    assert "A login link is valid for 24 hours." in run("search", "how long", "is a login link valid", "--area", "docs")
    [line] = run("search", "trains", "--limit", "1", "--json").splitlines()
    assert json.loads(line)["position"]["page"] == 1
    assert run("search", "trains", "--filter", "year == 'x'") == ""

    listed = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert {each["title"] for each in listed} == {"Manual", "a.pdf"}
    assert "removed" in run("remove", listed[0]["document_id"])
    assert len(run("list").splitlines()) == 1


def test_adding_again_replaces_changed_files(folder):
    run("add", str(folder))
    (folder / "manual.md").write_text("# Manual\n\nA login link is valid for 12 hours.\n")
    assert sorted(line.split()[0] for line in run("add", str(folder)).splitlines()) == ["replaced", "unchanged"]
    assert Document.objects.count() == 2


def test_unreadable_file_does_not_stop_the_others(folder):
    (folder / "broken.docx").write_bytes(b"PK\x03\x04")
    with pytest.raises(CommandError, match="1 of 3 files"):
        run("add", str(folder))
    assert Document.objects.count() == 2


@pytest.mark.parametrize(
    "words",
    [
        ("add", "/nowhere/at/all"),
        ("add", "{empty}"),
        ("add", "{empty}", "--metadata", "{"),
        ("add", "{empty}", "--metadata", "novalue"),
        ("remove", "0123456789"),
        ("search", "x", "--filter", "import os"),
        ("search", "x", "--limit", "0"),
    ],
)
def test_invalid_arguments_are_reported(words, tmp_path):
    with pytest.raises(CommandError):
        run(*(word.replace("{empty}", str(tmp_path)) for word in words))


def test_renew_rebuilds_vectors(folder):
    from executor.models import Chunk

    run("add", str(folder))
    assert run("renew") == "0 vectors were rebuilt.\n"
    Chunk.objects.update(model="another")
    assert run("renew") == "2 vectors were rebuilt.\n"
