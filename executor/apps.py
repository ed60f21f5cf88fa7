"""Wiring: what happens once when Django starts."""

from django.apps import AppConfig


class ExecutorConfig(AppConfig):
    name = "executor"
    verbose_name = "Batch Executor"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from executor import functions

        functions.autodiscover()
