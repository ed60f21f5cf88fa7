"""Set-up of the app when Django starts."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ExecutorConfig(AppConfig):
    name = "executor"
    verbose_name = "Batch Executor"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from executor import access, functions
        from executor.worker import checks  # noqa: F401 - importing the checks registers them

        post_migrate.connect(access.ensure_roles, sender=self, dispatch_uid="executor roles")

        functions.autodiscover()
