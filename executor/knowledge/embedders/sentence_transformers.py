"""Embedder: a model of the library sentence-transformers, which must be installed separately."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from executor.domain.errors import Unavailable
from executor.knowledge.arrays import normalise


class SentenceTransformersEmbedder:
    """A local model."""

    def __init__(self, model: str):
        from sentence_transformers import SentenceTransformer

        if not model:
            raise Unavailable(
                "BATCH_EMBEDDER names no model.", fix="Set BATCH_EMBEDDER=sentence-transformers:all-MiniLM-L6-v2"
            )
        try:
            self._model = SentenceTransformer(model)
        except Exception as error:  # the library raises any error of the model's source
            raise Unavailable(f"The model {model!r} cannot be loaded ({error}).") from None
        self.name = f"sentence-transformers:{model}"[:200]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return one normalised row for each text."""
        if not texts:
            return np.zeros((0, 0), np.float32)
        return normalise(np.asarray(self._model.encode(list(texts), show_progress_bar=False), np.float32))
