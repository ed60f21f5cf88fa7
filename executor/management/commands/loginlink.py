"""`manage.py loginlink [USERNAME]`: a login link for one use within 24 hours."""

from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from executor.access import default_operator, login_link_path
from executor.processes.layout import COMMAND
from executor.supervisor.site import SITE_FILE

DEFAULT_SITE = "http://127.0.0.1:8000"


class Command(BaseCommand):
    help = "Print a one-time login link."

    def add_arguments(self, parser):
        parser.add_argument("username", nargs="?", help="the user (default: operator, or the first superuser)")
        parser.add_argument("--site", help=f"address of the site (default: that of the last `up`, or {DEFAULT_SITE})")

    def handle(self, *, username, site, **_options):
        if username:
            user = User.objects.filter(username=username, is_active=True).first()
            if user is None:
                raise CommandError(f"There is no active user named {username!r}.")
        else:
            user = default_operator()
            if user is None:
                raise CommandError(f"There is no active superuser; `{COMMAND} createsuperuser` creates one.")
        if not site:
            file = Path(settings.DATA_DIR) / SITE_FILE
            site = file.read_text() if file.exists() else DEFAULT_SITE
        self.stdout.write(site.rstrip("/") + login_link_path(user))
