"""Vectors as numpy has them and as the database has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each row at length 1; a row of zeros (a text without a known word) stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def packed(vector: np.ndarray) -> bytes:
    """A vector as it is stored: half precision, which changes a cosine by less than 0.001."""
    return vector.astype("<f2").tobytes()


def unpacked(vectors: Sequence[bytes]) -> np.ndarray:
    """Stored vectors as the rows of a matrix."""
    if not vectors:
        return np.zeros((0, 0), np.float32)
    return np.frombuffer(b"".join(map(bytes, vectors)), "<f2").reshape(len(vectors), -1).astype(np.float32)
