"""Django's admin: it shows everything, and edits nothing that only the queue may write."""

from django.contrib import admin

from . import batches, records, tasks, tokens

admin.site.site_header = admin.site.site_title = "Batch Executor"
admin.site.index_title = "Administration"

__all__ = ["batches", "records", "tasks", "tokens"]
