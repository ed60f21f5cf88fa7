"""New vectors after a change of the embedder. Until they exist, chunks are found by their words only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import connection
from django.db.models import Q, QuerySet

from executor.db.dialect import database_now
from executor.domain.errors import Unavailable
from executor.models import Chunk, KnowledgeIndex

from .arrays import pack_vector
from .embedder import embedder
from .index_state import index_state, write_transaction
from .splitting import Piece

logger = logging.getLogger(__name__)

BATCH_SIZE = 500  # chunks
TAKEOVER_TIMEOUT = timedelta(seconds=120)  # without progress, until another process takes over

_running = threading.Lock()


def stale_chunks(model: str) -> QuerySet[Chunk]:
    """Return the chunks whose vectors are of another model."""
    return Chunk.objects.filter(Q(model__lt=model) | Q(model__gt=model))


def reembed(on_progress: Callable[[int], None] = lambda done: None) -> int:
    """Replace the vectors of other models, and return their number. Raises Unavailable.

    `on_progress` is called after each batch with the number done.
    """
    model = embedder()
    done = 0
    while chunks := list(stale_chunks(model.name).order_by("pk")[:BATCH_SIZE]):
        vectors = model.embed([Piece(chunk.text, chunk.section).embedded_text for chunk in chunks])
        with write_transaction() as version:
            for chunk, vector in zip(chunks, vectors, strict=True):
                chunk.vector, chunk.model, chunk.version = pack_vector(vector), model.name, version
            Chunk.objects.bulk_update(chunks, ["vector", "model", "version"], batch_size=100)
            KnowledgeIndex.objects.filter(pk=1).update(rebuilt_at=database_now())
        done += len(chunks)
        on_progress(done)
    return done


def reembed_in_background(model: str) -> str:
    """Start to replace stale vectors, unless that is in progress. Return a note for searchers, empty without any."""
    if not stale_chunks(model).exists():
        return ""
    if _running.acquire(blocking=False):
        threading.Thread(target=_run, name="knowledge vectors", daemon=True).start()
    return "The embedder was changed: some documents are found by their words only until their vectors are rebuilt."


def _run() -> None:
    try:
        if _claim():
            count = reembed()
            logger.info("rebuilt %d vectors", count)
            KnowledgeIndex.objects.filter(pk=1).update(rebuilt_at=None)
    except Unavailable as error:
        logger.warning("cannot rebuild vectors: %s", error.message)
    except Exception:
        logger.exception("vectors could not be rebuilt")
    finally:
        connection.close()
        _running.release()


def _claim() -> bool:
    """Return whether this process may do it: one at a time, until it makes no progress for TAKEOVER_TIMEOUT."""
    index_state()  # creates the row
    now = database_now()
    free = Q(rebuilt_at=None) | Q(rebuilt_at__lt=now - TAKEOVER_TIMEOUT)
    return bool(KnowledgeIndex.objects.filter(free, pk=1).update(rebuilt_at=now))
