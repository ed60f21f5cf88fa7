"""What must be in the database before anybody can work: tables, roles, an operator, an agent's token."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from executor.access import ROLES, SCOPES, caller_of_token, create_token, ensure_roles
from executor.domain.errors import NotAuthenticated
from executor.models import ApiToken
from executor.supervisor.embedded import write_private


def prepare_database(tell) -> None:
    """Bring the tables up to date; nothing to do costs one look."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        tell("updating the database")
        call_command("migrate", interactive=False, verbosity=0)
    elif Group.objects.filter(name__in=ROLES).count() < len(ROLES):
        ensure_roles()


def ensure_operator() -> None:
    """Where there is no user at all, make one who may do everything and comes in by login links."""
    if User.objects.exists():
        return
    operator = User(username="operator", is_staff=True, is_superuser=True)
    operator.set_unusable_password()
    operator.save()
    operator.groups.add(Group.objects.get(name="admin"))


def ensure_agent_token(path: Path) -> None:
    """Keep the token in this file if it still does everything; otherwise write another one, for its owner alone."""
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
