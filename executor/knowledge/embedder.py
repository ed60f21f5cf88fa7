"""Embedding of texts: vectors of length 1, so that the dot product of two vectors is their cosine.

BATCH_EMBEDDER selects the model:
    (empty)                         wordllama: a small static model that is part of its package and needs no network
    sentence-transformers:<model>   a model of that library, if it is installed
    https://host/v1                 any server with OpenAI's /embeddings; BATCH_EMBEDDER_MODEL, BATCH_EMBEDDER_KEY
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from executor.domain.errors import Unavailable

if TYPE_CHECKING:  # numpy is loaded only to embed
    import numpy as np

_lock = threading.Lock()
_loaded: tuple[tuple, Embedder] | None = None


class Embedder(Protocol):
    """A model. `name` is stored with each vector: vectors of different models cannot be compared."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return one row of float32 for each text. Raises Unavailable."""
        ...


def embedder() -> Embedder:
    """Return the configured embedder, loaded once per process. Raises Unavailable."""
    global _loaded
    configuration = (settings.BATCH_EMBEDDER, settings.BATCH_EMBEDDER_MODEL, settings.BATCH_EMBEDDER_KEY)
    with _lock:
        if _loaded is None or _loaded[0] != configuration:
            _loaded = (configuration, _load(*configuration))
        return _loaded[1]


def unavailable_reason() -> str:
    """Return why there is no embedder, or an empty string. The embedder is not loaded."""
    kind = settings.BATCH_EMBEDDER.partition(":")[0]
    package = {"": "wordllama", "sentence-transformers": "sentence_transformers"}.get(kind)
    if package and importlib.util.find_spec(package) is None:
        return f"The package {package} is not installed, and BATCH_EMBEDDER names no other embedder."
    return ""


def _load(kind: str, model: str, key: str) -> Embedder:
    if reason := unavailable_reason():
        raise Unavailable(reason, fix="pip install -r requirements.txt, or set BATCH_EMBEDDER.")
    if not kind:
        from .embedders.wordllama import WordLlamaEmbedder

        return WordLlamaEmbedder()
    if kind.startswith(("https://", "http://")):
        from .embedders.openai import OpenAIEmbedder

        return OpenAIEmbedder(kind, model, key)
    if kind.startswith("sentence-transformers"):
        from .embedders.sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(kind.partition(":")[2] or model)
    raise Unavailable(
        f"BATCH_EMBEDDER is {kind!r}, which is not a known embedder.",
        fix="Leave it empty, or set it to sentence-transformers:<model> or the URL of a server with /embeddings.",
    )
