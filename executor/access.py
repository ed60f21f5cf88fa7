"""Callers and their rights. People have a Django login, agents a bearer token."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db.models import Q
from django.utils import timezone
from django.utils.http import base36_to_int, urlsafe_base64_decode, urlsafe_base64_encode

from executor.domain.errors import BadRequest, Conflict, NotAllowed, NotAuthenticated
from executor.models import ApiToken

# The rights: to see; to add tasks; to start, stop and change; to run code.
SCOPES = ("read", "submit", "control", "code")

# The groups of people. Only admins manage users and tokens, in Django's admin.
ROLES: dict[str, tuple[str, ...]] = {"viewer": ("read",), "operator": SCOPES, "admin": SCOPES}

# The scope of each operation on the knowledge base.
_KNOWLEDGE_SCOPES = {"read": "read", "add": "submit", "remove": "control"}

LOGIN_LINK_LIFE = timedelta(hours=24)
TOKEN_USE_NOTED = timedelta(minutes=1)
_TOKEN = re.compile(r"bx_([0-9a-f]{8})_")


@dataclass(frozen=True)
class Caller:
    """A person or program that calls: `key` is `user:<id>`, `token:<id>` or `cli`."""

    key: str
    name: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raise NotAllowed unless the caller has a scope."""
        if scope not in self.scopes:
            raise NotAllowed(
                f"{self.name} may not do this: it needs the scope {scope!r}.",
                fix="Use a token with that scope, or ask an administrator for the role.",
            )

    def require_for_knowledge(self, operation: Literal["read", "add", "remove"]) -> None:
        """Require the scope of an operation on the knowledge base.

        Raises NotAllowed.
        """
        self.require(_KNOWLEDGE_SCOPES[operation])


def caller_of_user(user: User | AnonymousUser) -> Caller:
    """Return the caller for a logged-in user, with the scopes of their groups.

    Raises NotAuthenticated.
    """
    if not user.is_authenticated or not user.is_active:
        raise NotAuthenticated("You are not logged in.", fix="Log in first.")
    if user.is_superuser:
        scopes = frozenset(SCOPES)
    else:
        groups = user.groups.values_list("name", flat=True)
        scopes = frozenset(scope for group in groups for scope in ROLES.get(group, ()))
    return Caller(f"user:{user.pk}", user.get_username(), scopes)


def caller_of_token(text: str) -> Caller:
    """Return the caller for a bearer token.

    Raises NotAuthenticated.
    """
    # Part of every request: raw SQL costs half of what the ORM does.
    found = ApiToken.objects.raw("SELECT * FROM executor_apitoken WHERE prefix = %s", [_prefix(text)])
    token = next(iter(found), None)
    # Compared in constant time, and also if there is no such token.
    matches = hmac.compare_digest(_digest(text), token.digest if token else _digest(""))
    if token is None or not matches:
        raise NotAuthenticated("This token is not known.")
    now = timezone.now()
    if token.revoked_at:
        raise NotAuthenticated("This token was revoked.")
    if token.expires_at and token.expires_at <= now:
        raise NotAuthenticated("This token has expired.")
    _note_use(token, now)
    return Caller(f"token:{token.pk}", token.name, frozenset(token.scopes) & frozenset(SCOPES))


def caller_of_shell() -> Caller:
    """Return the caller for the command line, which has all rights: it can read the settings and the database."""
    return Caller("cli", "command line", frozenset(SCOPES))


def create_token(name: str, scopes: Iterable[str], expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """Create a token and return it with its text, of which only a digest is stored.

    Raises BadRequest and Conflict.
    """
    scopes = [scope for scope in SCOPES if scope in _known(scopes)]
    if not name or len(name) > 100:
        raise BadRequest("A token needs a name of 1 to 100 characters.", fix="Name it after its user.")
    if ApiToken.objects.filter(name=name).exists():
        raise Conflict(f"There is a token named {name!r} already.", fix="Choose another name.")
    prefix = secrets.token_hex(4)
    text = f"bx_{prefix}_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        name=name, prefix=prefix, digest=_digest(text), scopes=scopes, expires_at=expires_at
    )
    return token, text


def ensure_roles(**_signal) -> None:
    """Create the missing groups of `ROLES`, after every migration. A new group `admin` gets all permissions."""
    for name in ROLES:
        group, made = Group.objects.get_or_create(name=name)
        if made and name == "admin":
            theirs = Q(content_type__app_label="executor") | Q(content_type__app_label="auth")
            group.permissions.set(Permission.objects.filter(theirs))


# --- one-time login links -------------------------------------------------------------------------------


class _LoginLinks(PasswordResetTokenGenerator):
    """Login links, signed over the time of the user's last login: a link is void as soon as it was used."""

    key_salt = "executor.access.LoginLinks"

    def _make_hash_value(self, user, timestamp):
        # To the microsecond: the inherited value has whole seconds, within which a link could be used twice.
        return f"{super()._make_hash_value(user, timestamp)}{user.last_login and user.last_login.isoformat()}"

    def check_token(self, user, token):
        if not super().check_token(user, token):
            return False
        made = base36_to_int(token.split("-")[0])
        return self._num_seconds(self._now()) - made <= LOGIN_LINK_LIFE.total_seconds()


_login_links = _LoginLinks()


def login_link_path(user: User) -> str:
    """Return the path of a link that logs this user in, once, within 24 hours."""
    uid = urlsafe_base64_encode(str(user.pk).encode())
    return f"/login/once/{uid}/{_login_links.make_token(user)}/"


def user_of_login_link(uid: str, token: str) -> User | None:
    """Return the user of a login link; None for one that was used or has expired. A login makes the link void."""
    try:
        user = User.objects.filter(pk=int(urlsafe_base64_decode(uid)), is_active=True).first()
    except (ValueError, OverflowError):  # a forged link
        return None
    return user if user is not None and _login_links.check_token(user, token) else None


def default_operator() -> User | None:
    """Return the user `operator`, or else the first active superuser, if there is one."""
    active = User.objects.filter(is_active=True, is_superuser=True).order_by("pk")
    return active.filter(username="operator").first() or active.first()


# --- details of tokens ----------------------------------------------------------------------------------


def _prefix(text: str) -> str:
    found = _TOKEN.match(text)
    return found[1] if found else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _known(scopes: Iterable[str]) -> set[str]:
    asked = set(scopes)
    if unknown := sorted(asked - set(SCOPES)):
        raise BadRequest(f"There is no scope {unknown[0]!r}.", fix=f"Use one of: {', '.join(SCOPES)}.")
    if not asked:
        raise BadRequest("A token needs at least one scope.", fix=f"Use one of: {', '.join(SCOPES)}.")
    return asked


def _note_use(token: ApiToken, now: datetime) -> None:
    """Store the time of use, at most once a minute: polling agents must not write with every request."""
    if token.last_used_at is None or now - token.last_used_at >= TOKEN_USE_NOTED:
        fresh = Q(last_used_at=None) | Q(last_used_at__lte=now - TOKEN_USE_NOTED)
        ApiToken.objects.filter(fresh, pk=token.pk).update(last_used_at=now)
