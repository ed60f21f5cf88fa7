"""Embedder: wordllama, the mean of static token vectors. 16 MB, no network, thousands of texts per second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from executor.knowledge.arrays import normalise

BATCH_SIZE = 256


class WordLlamaEmbedder:
    """The default model."""

    name = "wordllama:l2_supercat_256"

    def __init__(self):
        import wordllama

        # Weights and tokenizer are in the package, but the tokenizer is searched in the cache folder only.
        package = Path(wordllama.__file__).parent
        model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)
        self._vectors: np.ndarray = model.embedding
        self._tokenizer = model.tokenizer
        self._tokenizer.no_padding()  # padded texts would all cost as much as the longest
        self._tokenizer.no_truncation()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return one normalised row for each text; zeros for a text without known tokens."""
        rows = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for start in range(0, len(texts), BATCH_SIZE):
            batch = list(texts[start : start + BATCH_SIZE])
            for at, tokens in enumerate(self._tokenizer.encode_batch_fast(batch, add_special_tokens=False), start):
                if tokens.ids:
                    rows[at] = self._vectors[np.minimum(tokens.ids, len(self._vectors) - 1)].mean(axis=0)
        return normalise(rows)
