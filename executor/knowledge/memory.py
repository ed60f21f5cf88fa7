"""Memories of agents: each owner has its own, found by their meaning.

A score is (1 + cosine) / 2, as in Agent Zero: 0.7 is a cosine of 0.4, which means "about the same topic".
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import Q

from executor.db.write_lock import write_lock
from executor.models import Memory

from .arrays import pack_vector, unpack_vectors
from .embedder import Embedder, embedder
from .expressions import Filter
from .search import score_of

ID_LENGTH = 10
_ALPHABET = string.ascii_letters + string.digits
BATCH_SIZE = 500


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory and its score for a query."""

    memory: Memory
    score: float

    def as_dict(self) -> dict:
        """Return the memory for results."""
        memory = self.memory
        return {
            "id": memory.memory_id,
            "text": memory.text,
            "score": self.score,
            "area": memory.area,
            "timestamp": timestamp(memory),
            "metadata": memory.metadata,
        }


def save(owner: str, text: str, area: str = "main", metadata: dict | None = None, key: str | None = None) -> Memory:
    """Save a text. A repeated call with the same key returns the memory of the first. Raises Unavailable."""
    if key and (known := Memory.objects.filter(owner=owner, key=key).first()):
        return known
    model = embedder()
    vector = pack_vector(model.embed([text])[0])
    memory = Memory(
        memory_id="".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH)),
        owner=owner,
        area=area,
        text=text,
        metadata=metadata or {},
        vector=vector,
        model=model.name,
        key=key,
    )
    try:
        with write_lock(), transaction.atomic():
            memory.save(force_insert=True)
    except IntegrityError:  # another attempt of the same task saved it concurrently
        if key and (known := Memory.objects.filter(owner=owner, key=key).first()):
            return known
        raise
    return memory


def load(
    owner: str,
    query: str,
    *,
    threshold: float = 0.7,
    limit: int | None = 10,
    filter: Filter | None = None,
    area: str = "",
) -> list[Recalled]:
    """Return the owner's memories with at least the score `threshold`, the nearest first. Raises Unavailable."""
    model = embedder()
    _reembed(owner, model)
    memories_of_owner = Memory.objects.filter(owner=owner, model=model.name)
    if area:
        memories_of_owner = memories_of_owner.filter(area=area)
    rows = list(memories_of_owner.order_by("pk").values_list("pk", "vector"))
    if not rows:
        return []
    query_vector = model.embed([query])[0]
    cosines = unpack_vectors([vector for _, vector in rows]) @ query_vector
    # The nearest first, equal ones by age. Texts are read in batches, only as many as needed.
    order = [at for at in np.argsort(-cosines, kind="stable") if score_of(float(cosines[at])) >= threshold]
    found: list[Recalled] = []
    for start in range(0, len(order), BATCH_SIZE):
        positions = order[start : start + BATCH_SIZE]
        memories = Memory.objects.in_bulk([rows[at][0] for at in positions])
        for at in positions:
            memory = memories.get(rows[at][0])
            if memory is None or (filter is not None and not filter.matches(facts(memory))):
                continue
            found.append(Recalled(memory, score_of(float(cosines[at]))))
            if len(found) == limit:
                return found
    return found


def delete(owner: str, ids: Sequence[str]) -> int:
    """Delete the owner's memories with these ids, and return their number."""
    with write_lock():
        deleted, _ = Memory.objects.filter(owner=owner, memory_id__in=list(ids)).delete()
    return deleted


def forget(owner: str, query: str, *, threshold: float = 0.7, filter: Filter | None = None) -> list[str]:
    """Delete the owner's memories near a query, and return their ids. Raises Unavailable."""
    ids = [each.memory.memory_id for each in load(owner, query, threshold=threshold, limit=None, filter=filter)]
    for start in range(0, len(ids), BATCH_SIZE):
        delete(owner, ids[start : start + BATCH_SIZE])
    return ids


def facts(memory: Memory) -> dict:
    """Return the values for filters."""
    return {
        **memory.metadata,
        "id": memory.memory_id,
        "area": memory.area,
        "timestamp": timestamp(memory),
    }


def timestamp(memory: Memory) -> str:
    """Return the creation time in Agent Zero's format, so that its filters work here."""
    return memory.created_at.strftime("%Y-%m-%d %H:%M:%S")


def _reembed(owner: str, model: Embedder) -> None:
    """Replace the owner's vectors of other models."""
    old = Memory.objects.filter(Q(model__lt=model.name) | Q(model__gt=model.name), owner=owner)
    while memories := list(old.order_by("pk")[:BATCH_SIZE]):
        for memory, vector in zip(memories, model.embed([memory.text for memory in memories]), strict=True):
            memory.vector, memory.model = pack_vector(vector), model.name
        with write_lock():
            Memory.objects.bulk_update(memories, ["vector", "model"], batch_size=100)
