"""Search by meaning: a copy of all vectors in this process, updated before each search.

A chunk takes 1 KB of memory (256 floats) and 0.5 KB in the database. Loading 100,000 chunks takes about a second, once.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db.models import QuerySet

from executor.models import Chunk

from .arrays import unpack_vectors
from .index_state import index_state

READ_SIZE = 5000  # rows of one read
GROWTH = 1.25  # of the arrays, as a factor


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk and its cosine with the query."""

    chunk_id: int
    cosine: float


class VectorIndex:
    """Vectors of one model. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._reset("")

    def _reset(self, model: str) -> None:
        self._model = model
        self._seen: tuple = (None, 0, 0)  # epoch, version, removals
        self._count = 0
        self._ids = np.zeros(0, np.int64)
        self._documents = np.zeros(0, np.int32)  # codes of `_codes`: small and fast to compare
        self._codes: dict[UUID, int] = {}
        self._matrix = np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        return self._count

    def nearest(self, vector: np.ndarray, model: str, limit: int, documents: Collection[UUID] | None) -> list[Near]:
        """Return the chunks nearest to a vector; only of `documents`, if given."""
        with self._lock:
            self._refresh(model)
            count, ids, places, codes = self._count, self._ids, self._documents, self._codes
            matrix = self._matrix
        # Outside the lock: rows up to `count` never change; a refresh makes new arrays or appends rows.
        if not count or matrix.shape[1] != len(vector):
            return []
        if documents is None:
            chosen, cosines = None, matrix[:count] @ vector
        else:
            wanted = [code for code in (codes.get(document) for document in documents) if code is not None]
            chosen = np.flatnonzero(np.isin(places[:count], wanted))
            if not len(chosen):
                return []
            # Copying most of the rows would cost more than multiplying all of them.
            many = len(chosen) * 4 > count
            cosines = (matrix[:count] @ vector)[chosen] if many else matrix[chosen] @ vector
        best = np.argpartition(-cosines, limit)[:limit] if len(cosines) > limit else np.arange(len(cosines))
        # Order equal cosines by id, so that results are reproducible.
        rows = best if chosen is None else chosen[best]
        order = np.lexsort((ids[rows], -cosines[best]))
        return [Near(int(ids[rows[at]]), float(cosines[best[at]])) for at in order]

    def _refresh(self, model: str) -> None:
        now = index_state()
        if model != self._model or now.epoch != self._seen[0] or now.version < self._seen[1]:
            self._reset(model)
        if (now.epoch, now.version, now.removals) == self._seen:
            return
        _, version, removals = self._seen
        if now.removals != removals and self._count:
            self._drop_removed()
        self._add(version, now.version)
        self._seen = (now.epoch, now.version, now.removals)

    def _drop_removed(self) -> None:
        alive = np.fromiter(Chunk.objects.values_list("pk", flat=True).iterator(READ_SIZE), np.int64)
        self._keep(np.isin(self._ids[: self._count], alive))

    def _keep(self, mask: np.ndarray) -> None:
        if mask.all():
            return
        count = self._count
        self._ids, self._documents = self._ids[:count][mask], self._documents[:count][mask]
        self._matrix = self._matrix[:count][mask]
        self._count = len(self._ids)

    def _add(self, after: int, until: int) -> None:
        chunks = Chunk.objects.filter(version__gt=after, version__lte=until, model=self._model, vector__isnull=False)
        fresh = chunks.count()
        if not fresh:
            return
        if self._count:  # a chunk with a replaced vector is here already
            known = np.fromiter(chunks.values_list("pk", flat=True).iterator(READ_SIZE), np.int64)
            self._keep(~np.isin(self._ids[: self._count], known))
        self._reserve(self._count + fresh)
        rows = chunks.order_by("pk").values_list("pk", "document_id", "vector")
        for batch in _batches(rows):
            matrix = unpack_vectors([vector for _, _, vector in batch])
            start, end = self._count, self._count + len(batch)
            if not self._matrix.shape[1]:
                self._matrix = np.zeros((len(self._ids), matrix.shape[1]), np.float32)
            if end > len(self._ids):
                self._reserve(end)
            self._ids[start:end] = [pk for pk, _, _ in batch]
            self._documents[start:end] = [
                self._codes.setdefault(document, len(self._codes)) for _, document, _ in batch
            ]
            self._matrix[start:end] = matrix
            self._count = end

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._ids):
            return
        size = rows if not self._count else max(rows, int(self._count * GROWTH))
        self._ids = _grown(self._ids, self._count, (size,))
        self._documents = _grown(self._documents, self._count, (size,))
        self._matrix = _grown(self._matrix, self._count, (size, self._matrix.shape[1]))


def _grown(old: np.ndarray, count: int, shape: tuple[int, ...]) -> np.ndarray:
    new = np.zeros(shape, old.dtype)
    new[:count] = old[:count]
    return new


def _batches(rows: QuerySet) -> Iterator[list[tuple]]:
    batch = []
    for row in rows.iterator(READ_SIZE):
        batch.append(row)
        if len(batch) == READ_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch


INDEX = VectorIndex()
