"""Vectors are made anew when the embedder is another one. Until then the words find what the meaning does not yet."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from django.db import connection
from django.db.models import Q

from executor.db.dialect import database_now
from executor.domain.errors import Unavailable
from executor.models import Chunk, KnowledgeIndex

from .arrays import packed
from .embedder import embedder
from .splitting import Piece
from .state import changing, state

logger = logging.getLogger(__name__)

AT_ONCE = 500
SILENCE = timedelta(seconds=120)  # after which somebody else takes over

_running = threading.Lock()


def stale(model: str):
    """The chunks whose vectors this model did not make."""
    return Chunk.objects.filter(Q(model__lt=model) | Q(model__gt=model))


def renew(told=lambda done: None) -> int:
    """Make the vectors anew that another model made; how many. Raises Unavailable."""
    model = embedder()
    done = 0
    while chunks := list(stale(model.name).order_by("pk")[:AT_ONCE]):
        vectors = model.embed([Piece(chunk.text, chunk.section).told for chunk in chunks])
        with changing() as version:
            for chunk, vector in zip(chunks, vectors, strict=True):
                chunk.vector, chunk.model, chunk.version = packed(vector), model.name, version
            Chunk.objects.bulk_update(chunks, ["vector", "model", "version"], batch_size=100)
            KnowledgeIndex.objects.filter(pk=1).update(rebuilt_at=database_now())
        done += len(chunks)
        told(done)
    return done


def renew_in_background(model: str) -> str:
    """Begin to renew old vectors, if there are any and nobody does it yet; what to tell whoever searches now."""
    if not stale(model).exists():
        return ""
    if _running.acquire(blocking=False):
        threading.Thread(target=_renew, name="knowledge vectors", daemon=True).start()
    return "The embedder was changed: some documents are found by their words alone until their vectors are made anew."


def _renew() -> None:
    try:
        if _claim():
            count = renew()
            logger.info("made %d vectors anew", count)
            KnowledgeIndex.objects.filter(pk=1).update(rebuilt_at=None)
    except Unavailable as error:
        logger.warning("vectors cannot be made anew: %s", error.message)
    except Exception:
        logger.exception("vectors could not be made anew")
    finally:
        connection.close()
        _running.release()


def _claim() -> bool:
    """One process of all does it."""
    state()
    now = database_now()
    free = Q(rebuilt_at=None) | Q(rebuilt_at__lt=now - SILENCE)
    return bool(KnowledgeIndex.objects.filter(free, pk=1).update(rebuilt_at=now))
