"""The one row that orders the writers and tells readers that something changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from executor.db.dialect import turn
from executor.models import KnowledgeIndex


def state() -> KnowledgeIndex:
    """How the index is now."""
    return KnowledgeIndex.objects.filter(pk=1).first() or KnowledgeIndex.objects.get_or_create(pk=1)[0]


@contextmanager
def changing(*, removal: bool = False) -> Iterator[int]:
    """A transaction that changes chunks; gives the version that it makes. One at a time: whoever sees a version sees
    everything up to it."""
    with turn(), transaction.atomic():
        KnowledgeIndex.objects.get_or_create(pk=1)
        index = KnowledgeIndex.objects.select_for_update().get(pk=1)
        index.version += 1
        index.removals += removal
        index.save(update_fields=["version", "removals"])
        yield index.version
