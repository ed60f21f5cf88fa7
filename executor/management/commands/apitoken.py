"""`manage.py apitoken create NAME --scope read --scope submit … | list | revoke NAME`: the tokens of agents."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from executor.access import SCOPES, create_token
from executor.domain.errors import ExecutorError
from executor.models import ApiToken
from executor.processes.layout import COMMAND


class Command(BaseCommand):
    help = "Create, list and revoke the bearer tokens of agents."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|list|revoke")
        create = verbs.add_parser("create", help="create a token; it is shown once")
        create.add_argument("name")
        create.add_argument(
            "--scope",
            action="append",
            default=[],
            dest="scopes",
            help=f"one of {', '.join(SCOPES)}, or all; repeatable",
        )
        create.add_argument("--days", type=float, help="days until it expires (default: never)")
        verbs.add_parser("list", help="list the tokens, without their texts")
        revoke = verbs.add_parser("revoke", help="revoke a token at once")
        revoke.add_argument("name")

    def handle(self, *, verb, **options):
        getattr(self, verb)(**options)

    def create(self, *, name, scopes, days, **_options):
        if not scopes:
            raise CommandError(f"Give the rights of the token, with --scope {' --scope '.join(SCOPES)} or --scope all.")
        if days is not None and days <= 0:
            raise CommandError("--days must be more than 0.")
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        try:
            _, text = create_token(name, SCOPES if scopes == ["all"] else scopes, expires_at)
        except ExecutorError as error:
            raise CommandError(f"{error.message} {error.fix}".strip()) from None
        self.stderr.write("Keep this token: it cannot be shown again.")
        self.stdout.write(text)

    def list(self, **_options):
        rows = [("NAME", "SCOPES", "STATE", "LAST USED")]
        for token in ApiToken.objects.order_by("name"):
            used = token.last_used_at.strftime("%Y-%m-%d %H:%M") if token.last_used_at else "never"
            rows.append((token.name, " ".join(token.scopes), _state(token), used))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.stdout.write("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())

    def revoke(self, *, name, **_options):
        if not ApiToken.objects.filter(name=name).exists():
            raise CommandError(f"There is no token named {name!r}; `{COMMAND} apitoken list` lists them.")
        ApiToken.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now())
        self.stdout.write(f"The token {name} is revoked.")


def _state(token: ApiToken) -> str:
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= timezone.now():
        return "expired"
    return f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "valid"
