"""The knowledge base over HTTP: the API, and the pages."""

import json

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from executor.access import create_token
from executor.models import AuditEntry, Document
from tests.knowledge.files import pdf

pytestmark = pytest.mark.django_db
MANUAL = b"# Manual\n\n## Login\n\nA login link is valid for 24 hours.\n"
API = "/api/knowledge"


def bearer(*scopes: str) -> dict:
    return {"Authorization": f"Bearer {create_token(' '.join(scopes), scopes)[1]}"}


@pytest.fixture
def agent(api_token) -> Client:
    return Client(headers={"Authorization": f"Bearer {api_token}"})


def upload(client: Client, *files: tuple[str, bytes], **fields):
    given = [SimpleUploadedFile(name, data) for name, data in files]
    return client.post(f"{API}/documents", {"file": given, **fields})


# --- the API ----------------------------------------------------------------------------------------------------


def test_files_can_be_added_listed_searched_read_and_removed(agent):
    facts = {"area": "docs", "metadata": '{"year": 2026}'}
    answer = upload(agent, ("manual.md", MANUAL), ("a.pdf", pdf("Trains leave at noon.")), **facts).json()
    assert [(each["title"], each["status"], each["area"]) for each in answer["documents"]] == [
        ("Manual", "added", "docs"),
        ("a.pdf", "added", "docs"),
    ]
    assert answer["errors"] == []
    listed = agent.get(f"{API}/documents", {"area": "docs", "limit": 1}).json()
    assert [each["title"] for each in listed["documents"]] == ["a.pdf"]
    rest = agent.get(f"{API}/documents", {"area": "docs", "cursor": listed["next_cursor"]}).json()
    assert [each["title"] for each in rest["documents"]] == ["Manual"]
    assert rest["next_cursor"] is None

    for name in ("query", "question"):
        found = agent.get(f"{API}/search", {name: "How long is a login link valid?", "limit": 1}).json()
        assert (found["count"], found["note"]) == (1, None)
        assert found["results"][0]["text"] == "A login link is valid for 24 hours."
        assert found["results"][0]["position"] == {"chunk": 1, "of": 1, "line": 5}
    assert agent.get(f"{API}/search", {"query": "login", "filter": "year < 2000"}).json()["results"] == []

    one = found["results"][0]["document_id"]
    read = agent.get(f"{API}/documents/{one}").json()
    assert read["pieces"][0]["section"] == "Manual › Login"
    assert agent.get(API).json() == {"documents": 2, "chunks": 2, "characters": 56, "areas": ["docs"]}
    assert agent.delete(f"{API}/documents/{one}").json()["removed"]["title"] == "Manual"
    assert agent.get(f"{API}/documents/{one}").status_code == 404
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "knowledge_add",
        "knowledge_add",
        "knowledge_remove",
    ]


def test_invalid_files_of_an_upload_are_reported_and_the_others_added(agent):
    answer = upload(agent, ("a.txt", b"Good."), ("b.pdf", b"bad"))
    assert answer.status_code == 200
    assert [each["source"] for each in answer.json()["documents"]] == ["a.txt"]
    assert [each["field"] for each in answer.json()["errors"]] == ["b.pdf"]
    wrong = upload(agent, ("b.pdf", b"bad"))
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_request")


def test_text_can_be_added_and_replaced(agent):
    def send(**fields):
        return agent.post(f"{API}/documents", json.dumps(fields), "application/json")

    text = {"name": "hours.md", "text": "We open at nine.", "title": "Hours", "source": "wiki/hours"}
    assert send(**text).json()["documents"][0]["title"] == "Hours"
    changed = send(**{**text, "text": "We open at ten."}, replace=True).json()
    assert changed["documents"][0]["status"] == "replaced"
    assert Document.objects.get().source == "wiki/hours"
    assert send(name="x.md").json()["errors"] == [{"field": "text", "reason": "Field required"}]
    assert send(**text, unknown=1).status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"x", "text/plain", 415),
    ],
)
def test_invalid_body_is_rejected(agent, body, content_type, status):
    answer = agent.post(f"{API}/documents", body, content_type)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("search", {}),
        ("search", {"query": " "}),
        ("search", {"query": "x", "limit": 0}),
        ("search", {"query": "x", "filter": "import os"}),
        ("search", {"query": "x", "threshold": 2}),
        ("documents", {"limit": 100_000}),
    ],
)
def test_invalid_query_is_rejected(agent, path, given):
    answer = agent.get(f"{API}/{path}", given)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"


@pytest.mark.parametrize("metadata", ["{", "[]", '{"x": NaN}'])
def test_invalid_metadata_is_rejected(agent, metadata):
    assert upload(agent, ("a.txt", b"Text."), metadata=metadata).status_code == 400
    assert not Document.objects.exists()


def test_each_endpoint_requires_its_scope():
    reader, sender = Client(headers=bearer("read")), Client(headers=bearer("submit"))
    assert upload(reader, ("a.txt", b"Text.")).status_code == 403
    added = upload(sender, ("a.txt", b"Text."))
    assert added.status_code == 200
    one = added.json()["documents"][0]["document_id"]
    assert reader.get(f"{API}/search", {"query": "text"}).status_code == 200
    assert sender.get(f"{API}/search", {"query": "text"}).status_code == 403
    assert sender.delete(f"{API}/documents/{one}").status_code == 403
    assert Client().get(f"{API}/documents").status_code == 401
    assert Document.objects.exists()


# --- the pages ----------------------------------------------------------------------------------------------------


@pytest.fixture
def person(client, operator) -> Client:
    client.force_login(operator)
    return client


def test_page_uploads_searches_shows_and_removes_documents(person):
    files = [SimpleUploadedFile("manual.md", MANUAL), SimpleUploadedFile("<b>.txt", b"<script>alert(1)</script>")]
    given = {"files": files, "area": "main", "metadata": '{"year": 2026}'}
    page = person.post(reverse("knowledge"), given, follow=True).content.decode()
    assert "Documents: 2 added." in page
    assert "<script>alert" not in page and "<b>.txt" not in page

    page = person.get(reverse("knowledge"), {"query": "How long is a login link valid?"}).content.decode()
    assert "A login link is valid for 24 hours." in page
    assert "&lt;script&gt;alert(1)" in page
    assert "found by its words and its meaning" in page

    document = Document.objects.get(title="Manual")
    address = reverse("knowledge_document", args=[document.pk])
    page = person.get(address).content.decode()
    assert "Manual › Login" in page and "&quot;year&quot;: 2026" in page
    assert "was removed" in person.post(address, follow=True).content.decode()
    assert person.get(address).status_code == 404


def test_page_reports_rejected_files(person):
    given = {"files": [SimpleUploadedFile("a.pdf", b"no")], "area": "main"}
    assert "It is not a PDF file" in person.post(reverse("knowledge"), given, follow=True).content.decode()
    page = person.post(reverse("knowledge"), {"area": "main", "metadata": "{"})
    assert page.status_code == 400
    assert "Not JSON" in page.content.decode() and "This field is required" in page.content.decode()
    page = person.get(reverse("knowledge"), {"query": "x", "filter": "import os"})
    assert (page.status_code, "is not an expression" in page.content.decode()) == (400, True)


def test_document_list_is_paginated(person, add):
    for number in range(52):
        add(f"{number}.txt", f"Text number {number}.")
    first = person.get(reverse("knowledge"))
    assert len(first.context["documents"]) == 50
    second = person.get(reverse("knowledge"), {"cursor": first.context["next_cursor"]})
    assert [each["title"] for each in second.context["documents"]] == ["1.txt", "0.txt"]
    assert person.get(reverse("knowledge"), {"cursor": "wrong"}).status_code == 404


def test_viewer_cannot_change_documents(client, add):
    viewer = User.objects.create_user("viewer")
    viewer.groups.add(Group.objects.get(name="viewer"))
    client.force_login(viewer)
    document = add("a.txt", "Text.").document
    assert "Add documents" not in client.get(reverse("knowledge")).content.decode()
    address = reverse("knowledge_document", args=[document.pk])
    assert "Remove" not in client.get(address).content.decode()
    assert client.post(address).status_code == 403
    files = {"files": [SimpleUploadedFile("b.txt", b"Other.")], "area": "main"}
    assert client.post(reverse("knowledge"), files).status_code == 403
    assert Document.objects.count() == 1


def test_anonymous_visitors_are_redirected_to_the_login(client):
    assert client.get(reverse("knowledge")).url.startswith("/login/")
