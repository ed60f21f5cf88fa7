"""Django's admin: everything can be looked at, nothing can be edited that the queue alone may write."""

from django.contrib import admin

from . import batches, records, tasks, tokens

admin.site.site_header = admin.site.site_title = "Batch Executor"
admin.site.index_title = "Administration"

__all__ = ["batches", "records", "tasks", "tokens"]
