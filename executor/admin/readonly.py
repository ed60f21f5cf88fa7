"""What all lists of the admin share: they show, they do not edit, and they never count a whole table."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

REACH = 10_000  # rows that can be reached by turning pages; who looks for older ones filters


class BoundedPaginator(Paginator):
    """Counts up to `REACH` and then stops: a table may have millions of rows."""

    @cached_property
    def reached(self) -> int:
        rows = cast(QuerySet, self.object_list)
        return rows.order_by().values("pk")[: REACH + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.reached, REACH)

    @property
    def more(self) -> bool:
        """Whether there are rows that no page shows."""
        return self.reached > REACH


class IndexedList(ChangeList):
    """Keeps the order that an index serves, whatever the address asks for."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet) -> list:
        return list(self.model_admin.get_ordering(request))


class ReadOnly(admin.ModelAdmin):
    """Rows that only the program writes."""

    actions_on_bottom = False
    list_per_page = 100
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # they count the table once for every choice of every filter
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
        """Whatever a page names is shown and no more."""
        named = flatten_fieldsets(self.fieldsets) if self.fieldsets else self.fields
        return tuple(named or ())
