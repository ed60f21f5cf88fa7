"""Embedder: any server with OpenAI's `POST /embeddings`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx
import numpy as np

from executor.domain.errors import Unavailable
from executor.knowledge.arrays import normalise

BATCH_SIZE = 64  # texts of one request
MAX_TEXT = 8000  # characters: servers reject texts that are longer than the input of their model
MAX_ATTEMPTS = 3
MAX_RETRY_AFTER = 20.0  # seconds


class OpenAIEmbedder:
    """A server's model. Busy servers are retried."""

    def __init__(self, address: str, model: str, key: str):
        if not model:
            raise Unavailable("BATCH_EMBEDDER_MODEL is missing.", fix="Set it to the server's model.")
        self.name = f"openai:{model}"[:200]
        self._model = model
        self._url = address.rstrip("/").removesuffix("/embeddings") + "/embeddings"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(60, connect=10))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return one normalised row for each text. Raises Unavailable."""
        rows: list[list[float]] = []
        for start in range(0, len(texts), BATCH_SIZE):
            batch = [text[:MAX_TEXT] or " " for text in texts[start : start + BATCH_SIZE]]
            rows += self._request(batch)
        return normalise(np.array(rows, np.float32)) if rows else np.zeros((0, 0), np.float32)

    def _request(self, texts: list[str]) -> list[list[float]]:
        delay = 0.0
        for attempts_left in reversed(range(MAX_ATTEMPTS)):
            time.sleep(delay)
            try:
                response = self._client.post(self._url, json={"model": self._model, "input": texts})
                if response.status_code == 429 or response.status_code >= 500:
                    delay = _delay(response, MAX_ATTEMPTS - attempts_left)
                    response.raise_for_status()
                response.raise_for_status()
                rows = sorted(response.json()["data"], key=lambda row: row["index"])
                if len(rows) != len(texts):
                    raise ValueError(f"{len(rows)} vectors for {len(texts)} texts")
                return [row["embedding"] for row in rows]
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if not attempts_left or (status < 500 and status != 429):
                    raise Unavailable(f"The embedding server answered {status}: {error.response.text[:200]}") from None
            except httpx.TransportError as error:
                if not attempts_left:
                    raise Unavailable(f"The embedding server cannot be reached ({error}).") from None
                delay = 0.5
            except (ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"The embedding server sent an invalid answer ({error}).") from None
        raise AssertionError("the last attempt returns or raises")


def _delay(response: httpx.Response, attempts: int) -> float:
    try:
        return min(float(response.headers.get("Retry-After", "")), MAX_RETRY_AFTER)
    except ValueError:
        return 0.5 * 2**attempts
