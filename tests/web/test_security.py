"""The content security policy, and access to the pages of RQ and of Django's admin."""

import re

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from executor.web.csp import ContentSecurityMiddleware

POLICY = "Content-Security-Policy"


def directives(response) -> dict[str, list[str]]:
    parts = (part.split() for part in response[POLICY].split(";"))
    return {name: sources for name, *sources in parts}


def answer(view, **meta):
    return ContentSecurityMiddleware(view)(RequestFactory(**meta).get("/"))


def test_policy_allows_only_this_site():
    assert directives(answer(lambda request: HttpResponse())) == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'", "ws://testserver"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


def test_nonce_is_made_per_response_that_uses_it():
    first, second = (answer(lambda request: HttpResponse(f"{request.csp_nonce} {request.csp_nonce}")) for _ in "12")
    one, again = first.content.decode().split()
    assert one == again and len(one) >= 16
    assert directives(first)["script-src"] == ["'self'", f"'nonce-{one}'"]
    assert one not in second[POLICY]


def test_invalid_host_does_not_reach_the_policy():
    assert directives(answer(lambda request: HttpResponse(), HTTP_HOST="evil; script-src *"))["connect-src"] == [
        "'self'"
    ]


def test_view_can_set_its_own_policy():
    assert answer(lambda request: HttpResponse(headers={POLICY: "sandbox"}))[POLICY] == "sandbox"


@pytest.mark.parametrize("path", ["/login/", "/healthz", "/no/such/page", "/static/admin/css/base.css", "/admin/"])
def test_responses_carry_the_security_headers(client, db, path):
    response = client.get(path)
    if not path.startswith("/static/"):  # served by WhiteNoise, before the policy's middleware
        assert "default-src 'none'" in response[POLICY]
        assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_rq_pages_are_for_superusers_only(db, django_user_model):
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    boss = django_user_model.objects.create_superuser("boss")
    for user, status in ((None, 302), (staff, 302), (boss, 200)):
        client = Client()
        if user:
            client.force_login(user)
        assert client.get("/admin/rq/").status_code == status, user
        assert client.get("/admin/rq/queues/0/").status_code == status, user
        assert client.get("/admin/rq/stats.json").status_code == status, user
    assert Client().get("/admin/django_rq/dashboard/").status_code in (302, 404)


def test_pages_of_admin_and_api_work_under_the_policy(page):
    """The fixture `page` fails on violations of the policy, which the browser logs."""
    page.goto("/api/docs")
    page.wait_for_selector(".swagger-ui .opblock")
    page.goto("/admin/")
    assert "Recent actions" in page.inner_text("#content")
    page.goto("/admin/auth/user/")
    page.click("#result_list tbody th a")
    page.wait_for_selector("#user_form")


def test_browser_blocks_an_injected_script(browser, live_server_url):
    from tests.support.browser import open_page

    page = open_page(browser, base_url=live_server_url)
    page.goto("/login/")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert page.evaluate("window.ran") is None
    assert re.search("Content Security Policy|Content-Security-Policy", " ".join(page.problems))
