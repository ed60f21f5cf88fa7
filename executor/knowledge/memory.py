"""What agents remember: each owner has memories of their own, found by their meaning.

A score is (1 + cosine) / 2, as in Agent Zero: 0.7 is a cosine of 0.4, which means "about the same thing".
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import Q

from executor.db.dialect import turn
from executor.knowledge.arrays import packed, unpacked
from executor.knowledge.embedder import embedder
from executor.knowledge.expressions import Filter
from executor.knowledge.search import score_of
from executor.models import Memory

ID_LENGTH = 10
_ALPHABET = string.ascii_letters + string.digits
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory and how near it is to what was asked."""

    memory: Memory
    score: float

    def as_dict(self) -> dict:
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
    """Remember a text. The same key saves once: whoever repeats the call gets the memory of the first.

    Raises Unavailable.
    """
    if key and (known := Memory.objects.filter(owner=owner, key=key).first()):
        return known
    model = embedder()
    vector = packed(model.embed([text])[0])
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
        with turn(), transaction.atomic():
            memory.save(force_insert=True)
    except IntegrityError:  # another attempt of the same task was faster
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
    """The owner's memories near a query, the nearest first; all of them above the threshold when `limit` is None.

    Raises Unavailable.
    """
    model = embedder()
    _renew(owner, model)
    mine = Memory.objects.filter(owner=owner, model=model.name)
    if area:
        mine = mine.filter(area=area)
    rows = list(mine.order_by("pk").values_list("pk", "vector"))
    if not rows:
        return []
    asked = model.embed([query])[0]
    cosines = unpacked([vector for _, vector in rows]) @ asked
    # In the order of their nearness, equal ones as they came; the texts of only so many are read as are wanted.
    order = [at for at in np.argsort(-cosines, kind="stable") if score_of(float(cosines[at])) >= threshold]
    found: list[Recalled] = []
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        memories = Memory.objects.in_bulk([rows[at][0] for at in some])
        for at in some:
            memory = memories.get(rows[at][0])
            if memory is None or (filter is not None and not filter.matches(facts(memory))):
                continue
            found.append(Recalled(memory, score_of(float(cosines[at]))))
            if len(found) == limit:
                return found
    return found


def delete(owner: str, ids: Sequence[str]) -> int:
    """Forget the memories with these ids; how many there were of this owner."""
    with turn():
        deleted, _ = Memory.objects.filter(owner=owner, memory_id__in=list(ids)).delete()
    return deleted


def forget(owner: str, query: str, *, threshold: float = 0.7, filter: Filter | None = None) -> list[str]:
    """Forget all memories near a query; their ids. Raises Unavailable."""
    ids = [each.memory.memory_id for each in load(owner, query, threshold=threshold, limit=None, filter=filter)]
    for start in range(0, len(ids), AT_ONCE):
        delete(owner, ids[start : start + AT_ONCE])
    return ids


def facts(memory: Memory) -> dict:
    """What a filter can ask about."""
    return {
        **memory.metadata,
        "id": memory.memory_id,
        "area": memory.area,
        "timestamp": timestamp(memory),
    }


def timestamp(memory: Memory) -> str:
    """As Agent Zero writes it, so that its filters compare as they are used to."""
    return memory.created_at.strftime("%Y-%m-%d %H:%M:%S")


def _renew(owner: str, model) -> None:
    """Make the owner's vectors anew that another embedder made."""
    old = Memory.objects.filter(Q(model__lt=model.name) | Q(model__gt=model.name), owner=owner)
    while memories := list(old.order_by("pk")[:AT_ONCE]):
        for memory, vector in zip(memories, model.embed([memory.text for memory in memories]), strict=True):
            memory.vector, memory.model = packed(vector), model.name
        with turn():
            Memory.objects.bulk_update(memories, ["vector", "model"], batch_size=100)
