"""The first contents of the database: tables, roles, an operator, an agent's token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from executor.access import ROLES, SCOPES, caller_of_token, create_token, ensure_roles
from executor.domain.errors import NotAuthenticated
from executor.models import ApiToken
from executor.supervisor.valkey import write_private


def migrate_database(log: Callable[[str], None]) -> None:
    """Bring tables and roles up to date; without changes this costs two queries."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        log("updating the database")
        call_command("migrate", interactive=False, verbosity=0)
    elif Group.objects.filter(name__in=ROLES).count() < len(ROLES):
        ensure_roles()


def ensure_operator() -> None:
    """Create the superuser `operator`, without a password, if there is no user."""
    if User.objects.exists():
        return
    operator = User(username="operator", is_staff=True, is_superuser=True)
    operator.set_unusable_password()
    operator.save()
    operator.groups.add(Group.objects.get(name="admin"))


def ensure_agent_token(path: Path) -> None:
    """Keep the token in this file if it still has all scopes; otherwise create one and write it there."""
    if path.exists():
        path.chmod(0o600)
        try:
            if caller_of_token(path.read_text().strip()).scopes == set(SCOPES):
                return
        except NotAuthenticated:
            pass  # revoked, expired, or of another database
    name = "agent"
    if ApiToken.objects.filter(name=name).exists():
        name = f"agent {timezone.now():%Y-%m-%d %H:%M:%S.%f}"
    write_private(path, create_token(name, SCOPES)[1] + "\n")
