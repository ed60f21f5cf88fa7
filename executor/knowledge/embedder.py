"""The meaning of a text as a vector of length 1, so that the product of two vectors is their cosine.

BATCH_EMBEDDER says who makes it:
    (empty)                         wordllama: a small static model that comes with its package and needs no network
    sentence-transformers:<model>   a model of that library, where it is installed
    https://host/v1                 any server with OpenAI's /embeddings; BATCH_EMBEDDER_MODEL, BATCH_EMBEDDER_KEY
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from executor.domain.errors import Unavailable

if TYPE_CHECKING:  # numpy is loaded by those alone who embed
    import numpy as np

_lock = threading.Lock()
_loaded: tuple[tuple, Embedder] | None = None


class Embedder(Protocol):
    """`name` is stored with each vector: vectors of different models have nothing to say to each other."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One row of float32 for each text. Raises Unavailable."""
        ...


def embedder() -> Embedder:
    """The configured embedder, loaded once a process.

    Raises Unavailable.
    """
    global _loaded
    asked = (settings.BATCH_EMBEDDER, settings.BATCH_EMBEDDER_MODEL, settings.BATCH_EMBEDDER_KEY)
    with _lock:
        if _loaded is None or _loaded[0] != asked:
            _loaded = (asked, _make(*asked))
        return _loaded[1]


def missing() -> str:
    """Why there is no embedder here, without loading it; empty where there is one."""
    kind = settings.BATCH_EMBEDDER.partition(":")[0]
    package = {"": "wordllama", "sentence-transformers": "sentence_transformers"}.get(kind)
    if package and importlib.util.find_spec(package) is None:
        return f"The package {package} is not installed, and BATCH_EMBEDDER names no other embedder."
    return ""


def _make(kind: str, model: str, key: str) -> Embedder:
    if reason := missing():
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
        f"BATCH_EMBEDDER is {kind!r}, which is no embedder.",
        fix="Leave it empty, or set sentence-transformers:<model> or the address of a server with /embeddings.",
    )
