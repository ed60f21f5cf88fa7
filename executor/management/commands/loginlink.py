"""`manage.py loginlink [USERNAME]`: a link that logs somebody in, once, within 24 hours."""

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from executor.access import login_link_path, someone_in_charge


class Command(BaseCommand):
    help = "Print a one-time login link."

    def add_arguments(self, parser):
        parser.add_argument("username", nargs="?", help="whose (default: operator, or the first superuser)")
        parser.add_argument("--site", default="http://127.0.0.1:8000", help="where the site is (default: %(default)s)")

    def handle(self, *, username, site, **_options):
        if username:
            user = User.objects.filter(username=username, is_active=True).first()
            if user is None:
                raise CommandError(f"There is no active user named {username!r}.")
        else:
            user = someone_in_charge()
            if user is None:
                raise CommandError("There is no user who may do everything; `manage.py createsuperuser` makes one.")
        self.stdout.write(site.rstrip("/") + login_link_path(user))
