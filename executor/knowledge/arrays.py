"""Vectors in numpy and in the database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Scale each row to length 1. A row of zeros, from a text without known words, stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def pack_vector(vector: np.ndarray) -> bytes:
    """Return a vector as it is stored: in half precision, which changes a cosine by less than 0.001."""
    return vector.astype("<f2").tobytes()


def unpack_vectors(vectors: Sequence[bytes | memoryview]) -> np.ndarray:
    """Return stored vectors as the rows of a float32 matrix."""
    if not vectors:
        return np.zeros((0, 0), np.float32)
    return np.frombuffer(b"".join(map(bytes, vectors)), "<f2").reshape(len(vectors), -1).astype(np.float32)
