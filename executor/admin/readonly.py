"""The base of all lists of the admin: read-only, without a count of whole tables."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

MAX_PAGED = 10_000  # rows that can be reached by paging; filters find older ones


class BoundedPaginator(Paginator):
    """A paginator that counts up to MAX_PAGED only: a table may have millions of rows."""

    @cached_property
    def reached(self) -> int:
        rows = cast(QuerySet, self.object_list)
        return rows.order_by().values("pk")[: MAX_PAGED + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.reached, MAX_PAGED)

    @property
    def more(self) -> bool:
        """Whether there are rows that no page shows."""
        return self.reached > MAX_PAGED


class IndexedList(ChangeList):
    """A change list in the order of an index; other orders in the query are ignored."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet) -> list:
        return list(self.model_admin.get_ordering(request))


class ReadOnly(admin.ModelAdmin):
    """A read-only page for rows that only the program writes."""

    actions_on_bottom = False
    list_per_page = 100
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # they count the table for every choice of every filter
    show_full_result_count = False
    sortable_by = ()

    class Media:
        css = {"all": ["executor/css/admin.css"]}

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def get_changelist(self, request, **kwargs):
        return IndexedList

    def get_readonly_fields(self, request, obj=None):
        """Return the fields that the page names."""
        named = flatten_fieldsets(self.fieldsets) if self.fieldsets else self.fields
        return tuple(named or ())
