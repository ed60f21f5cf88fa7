"""The state of the search index: one row that serialises writers and lets readers detect changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from executor.db.write_lock import write_lock
from executor.models import KnowledgeIndex


def index_state() -> KnowledgeIndex:
    """Return the current state of the index."""
    return KnowledgeIndex.objects.filter(pk=1).first() or KnowledgeIndex.objects.get_or_create(pk=1)[0]


@contextmanager
def write_transaction(*, removal: bool = False) -> Iterator[int]:
    """Run the block, which changes chunks, in a transaction, and provide the new version.

    Writers are serialised: a reader that sees a version sees all changes up to it.
    """
    with write_lock(), transaction.atomic():
        KnowledgeIndex.objects.get_or_create(pk=1)
        index = KnowledgeIndex.objects.select_for_update().get(pk=1)
        index.version += 1
        index.removals += removal
        index.save(update_fields=["version", "removals"])
        yield index.version
