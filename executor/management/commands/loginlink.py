"""`manage.py loginlink [USERNAME]`: a link that logs somebody in, once, within 24 hours."""

from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from executor.access import login_link_path, someone_in_charge
from executor.supervisor.site import SITE

USUAL = "http://127.0.0.1:8000"


class Command(BaseCommand):
    help = "Print a one-time login link."

    def add_arguments(self, parser):
        parser.add_argument("username", nargs="?", help="whose (default: operator, or the first superuser)")
        parser.add_argument("--site", help=f"where the site is (default: where `up` had it last, or else {USUAL})")

    def handle(self, *, username, site, **_options):
        if username:
            user = User.objects.filter(username=username, is_active=True).first()
            if user is None:
                raise CommandError(f"There is no active user named {username!r}.")
        else:
            user = someone_in_charge()
            if user is None:
                raise CommandError("There is no user who may do everything; `manage.py createsuperuser` makes one.")
        if not site:
            noted = Path(settings.DATA_DIR) / SITE
            site = noted.read_text() if noted.exists() else USUAL
        self.stdout.write(site.rstrip("/") + login_link_path(user))
