"""wordllama: the mean of static token vectors. 16 MB in its package, no network, thousands of texts a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from executor.knowledge.arrays import unit

AT_ONCE = 256


class WordLlamaEmbedder:
    name = "wordllama:l2_supercat_256"

    def __init__(self):
        import wordllama

        # Its weights and its tokenizer are in the package; it looks for the tokenizer only in the cache folder.
        package = Path(wordllama.__file__).parent
        model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)
        self._vectors: np.ndarray = model.embedding
        self._tokenizer = model.tokenizer
        self._tokenizer.no_padding()  # each text has its own length: padded ones cost as much as the longest
        self._tokenizer.no_truncation()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for start in range(0, len(texts), AT_ONCE):
            some = list(texts[start : start + AT_ONCE])
            for at, tokens in enumerate(self._tokenizer.encode_batch_fast(some, add_special_tokens=False), start):
                if tokens.ids:
                    rows[at] = self._vectors[np.minimum(tokens.ids, len(self._vectors) - 1)].mean(axis=0)
        return unit(rows)
