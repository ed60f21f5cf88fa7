"""Roles, tokens and login links."""

from datetime import timedelta

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from django.utils import timezone

from executor import access
from executor.access import (
    ROLES,
    SCOPES,
    caller_of_shell,
    caller_of_token,
    caller_of_user,
    create_token,
    login_link_path,
    user_of_login_link,
)
from executor.domain.errors import BadRequest, Conflict, NotAllowed, NotAuthenticated
from executor.models import ApiToken

pytestmark = pytest.mark.django_db


# --- users ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_role_grants_its_scopes(role):
    user = User.objects.create_user("user")
    user.groups.add(Group.objects.get(name=role))
    caller = caller_of_user(user)
    assert (caller.key, caller.name, caller.scopes) == (f"user:{user.pk}", "user", frozenset(ROLES[role]))


def test_viewer_has_the_read_scope_only():
    assert ROLES["viewer"] == ("read",)


def test_superuser_has_all_scopes_and_user_without_a_group_none():
    assert caller_of_user(User.objects.create_superuser("root")).scopes == set(SCOPES)
    assert caller_of_user(User.objects.create_user("plain")).scopes == set()


def test_anonymous_and_inactive_users_are_refused():
    with pytest.raises(NotAuthenticated):
        caller_of_user(AnonymousUser())
    with pytest.raises(NotAuthenticated):
        caller_of_user(User.objects.create_user("gone", is_active=False))


def test_require_names_the_missing_scope():
    caller = caller_of_user(User.objects.create_user("plain"))
    with pytest.raises(NotAllowed, match="'control'"):
        caller.require("control")
    for scope in SCOPES:
        caller_of_shell().require(scope)


def test_only_admins_manage_tokens_and_users():
    rights = {name: set(Group.objects.get(name=name).permissions.values_list("codename", flat=True)) for name in ROLES}
    assert {"add_apitoken", "change_user"} <= rights["admin"]
    assert not rights["viewer"] and not rights["operator"]


# --- tokens -----------------------------------------------------------------------------------------------


def test_token_grants_its_scopes_only():
    token, text = create_token("agent", ["submit", "read"])
    assert text.startswith(f"bx_{token.prefix}_")
    caller = caller_of_token(text)
    assert (caller.key, caller.name) == (f"token:{token.pk}", "agent")
    assert caller.scopes == {"read", "submit"}


def test_token_is_not_stored_in_plain_text():
    token, text = create_token("agent", SCOPES)
    kept = " ".join(str(value) for value in ApiToken.objects.filter(pk=token.pk).values_list().get())
    assert text not in kept and text.split("_", 2)[2] not in kept


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.rsplit("_", 1)[0] + "_",
        lambda text: text.upper(),
        lambda text: text.replace("bx_", "by_", 1),
        lambda text: "",
        lambda text: "bx__",
        lambda text: "bx_\udc80_\x00",
    ],
)
def test_altered_token_is_refused(spoil):
    _, text = create_token("agent", SCOPES)
    with pytest.raises(NotAuthenticated):
        caller_of_token(spoil(text))


def test_revoked_and_expired_tokens_are_refused():
    for name, change in {
        "revoked": {"revoked_at": timezone.now()},
        "expired": {"expires_at": timezone.now() - timedelta(seconds=1)},
    }.items():
        token, text = create_token(name, SCOPES)
        caller_of_token(text)
        ApiToken.objects.filter(pk=token.pk).update(**change)
        with pytest.raises(NotAuthenticated, match=name):
            caller_of_token(text)


def test_last_use_is_recorded_at_most_once_a_minute(django_assert_num_queries):
    token, text = create_token("agent", SCOPES)
    caller_of_token(text)
    noted = ApiToken.objects.get(pk=token.pk).last_used_at
    assert timezone.now() - noted < timedelta(seconds=10)
    with django_assert_num_queries(1):
        caller_of_token(text)
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=noted - timedelta(minutes=2))
    caller_of_token(text)
    assert ApiToken.objects.get(pk=token.pk).last_used_at >= noted


def test_create_token_rejects_invalid_scopes_and_duplicate_names():
    with pytest.raises(BadRequest, match="'sumbit'"):
        create_token("agent", ["read", "sumbit"])
    with pytest.raises(BadRequest, match="at least one"):
        create_token("agent", [])
    create_token("agent", ["read"])
    with pytest.raises(Conflict):
        create_token("agent", ["read"])


# --- login links ------------------------------------------------------------------------------------------


def link(user) -> tuple[str, str]:
    return tuple(login_link_path(user).strip("/").split("/")[2:])


def log_in(user):
    request = RequestFactory().get("/")
    from django.contrib.sessions.backends.db import SessionStore

    request.session = SessionStore()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")


def test_login_link_works_once():
    user = User.objects.create_user("operator")
    words = link(user)
    assert user_of_login_link(*words) == user_of_login_link(*words) == user
    log_in(user)
    assert user_of_login_link(*words) is None


def test_login_within_the_same_second_invalidates_a_link():
    user = User.objects.create_user("operator", last_login=timezone.now().replace(microsecond=1))
    words = link(user)
    User.objects.filter(pk=user.pk).update(last_login=user.last_login.replace(microsecond=2))
    assert user_of_login_link(*words) is None


@pytest.mark.parametrize(("hours", "works"), [(23.9, True), (24.1, False)])
def test_login_link_expires_after_a_day(monkeypatch, hours, works):
    user = User.objects.create_user("operator")
    words = link(user)
    now = access._login_links._now()
    monkeypatch.setattr(access._LoginLinks, "_now", lambda self: now + timedelta(hours=hours))
    assert bool(user_of_login_link(*words)) is works


def test_login_link_is_bound_to_its_user_and_purpose():
    from django.contrib.auth.tokens import default_token_generator

    first, second = User.objects.create_user("first"), User.objects.create_user("second")
    assert user_of_login_link(link(first)[0], link(second)[1]) is None
    assert user_of_login_link(link(first)[0], default_token_generator.make_token(first)) is None
    User.objects.filter(pk=first.pk).update(is_active=False)
    assert user_of_login_link(*link(first)) is None


@pytest.mark.parametrize("uid", ["", "x", "é", "MQ==", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "LTE"])
def test_forged_login_link_is_refused(uid):
    assert user_of_login_link(uid, "abc-def") is None


# --- the commands -----------------------------------------------------------------------------------------


def test_apitoken_is_shown_once_listed_and_revoked(capsys):
    call_command("apitoken", "create", "robot", "--scope", "read", "--scope", "submit")
    text = capsys.readouterr().out.split()[-1]
    assert caller_of_token(text).scopes == {"read", "submit"}
    call_command("apitoken", "list")
    listed = capsys.readouterr().out
    assert "robot" in listed and "read submit" in listed and text not in listed
    call_command("apitoken", "revoke", "robot")
    assert "robot" in capsys.readouterr().out
    with pytest.raises(NotAuthenticated):
        caller_of_token(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("create", "robot", "--scope", "everything"), "everything"),
        (("create", "robot"), "--scope"),
        (("revoke", "unknown"), "unknown"),
        (("create", "robot", "--scope", "read", "--days", "0"), "--days"),
    ],
)
def test_apitoken_reports_invalid_arguments(words, message):
    with pytest.raises(CommandError, match=message):
        call_command("apitoken", *words)


def test_loginlink_prints_a_working_path(capsys):
    user = User.objects.create_superuser("boss")
    call_command("loginlink", "boss")
    address = capsys.readouterr().out.strip()
    assert address.startswith("http://127.0.0.1:8000/login/once/")
    assert user_of_login_link(*address.strip("/").split("/")[-2:]) == user


def test_loginlink_uses_the_last_address_of_the_site(capsys, settings, tmp_path):
    User.objects.create_superuser("boss")
    settings.DATA_DIR = tmp_path
    (tmp_path / "site").write_text("http://127.0.0.1:8123")
    call_command("loginlink")
    assert capsys.readouterr().out.startswith("http://127.0.0.1:8123/login/once/")
    call_command("loginlink", site="https://tasks.example/")
    assert capsys.readouterr().out.startswith("https://tasks.example/login/once/")


def test_head_request_does_not_consume_a_login_link(client):
    link = login_link_path(User.objects.create_superuser("boss"))
    assert client.head(link).status_code == 405
    assert client.get(link).status_code == 302 and client.session["_auth_user_id"]


def test_loginlink_defaults_to_an_operator(capsys):
    with pytest.raises(CommandError, match="createsuperuser"):
        call_command("loginlink")
    user = User.objects.create_superuser("boss")
    call_command("loginlink")
    assert user_of_login_link(*capsys.readouterr().out.strip().strip("/").split("/")[-2:]) == user
    with pytest.raises(CommandError, match="unknown"):
        call_command("loginlink", "unknown")
