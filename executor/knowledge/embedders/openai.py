"""Any server that speaks OpenAI's `POST /embeddings`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx
import numpy as np

from executor.domain.errors import Unavailable
from executor.knowledge.arrays import unit

AT_ONCE = 64
LONGEST = 8000  # characters of a text: servers refuse what is longer than their model reads
TRIES = 3
PATIENCE = 20.0  # seconds that a server may ask us to wait


class OpenAIEmbedder:
    def __init__(self, address: str, model: str, key: str):
        if not model:
            raise Unavailable("BATCH_EMBEDDER_MODEL is missing.", fix="Name the model that the server shall use.")
        self.name = f"openai:{model}"[:200]
        self._model = model
        self._url = address.rstrip("/").removesuffix("/embeddings") + "/embeddings"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(60, connect=10))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows: list[list[float]] = []
        for start in range(0, len(texts), AT_ONCE):
            some = [text[:LONGEST] or " " for text in texts[start : start + AT_ONCE]]
            rows += self._asked(some)
        return unit(np.array(rows, np.float32)) if rows else np.zeros((0, 0), np.float32)

    def _asked(self, texts: list[str]) -> list[list[float]]:
        wait = 0.0
        for left in reversed(range(TRIES)):
            time.sleep(wait)
            try:
                response = self._client.post(self._url, json={"model": self._model, "input": texts})
                if response.status_code == 429 or response.status_code >= 500:
                    wait = _wait(response, TRIES - left)
                    response.raise_for_status()
                response.raise_for_status()
                rows = sorted(response.json()["data"], key=lambda row: row["index"])
                if len(rows) != len(texts):
                    raise ValueError(f"{len(rows)} vectors for {len(texts)} texts")
                return [row["embedding"] for row in rows]
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if not left or (status < 500 and status != 429):
                    raise Unavailable(f"The embedding server answered {status}: {error.response.text[:200]}") from None
            except httpx.TransportError as error:
                if not left:
                    raise Unavailable(f"The embedding server cannot be reached ({error}).") from None
                wait = 0.5
            except (ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"The embedding server answered something else ({error}).") from None
        raise AssertionError("the last try returns or raises")


def _wait(response: httpx.Response, tried: int) -> float:
    try:
        return min(float(response.headers.get("Retry-After", "")), PATIENCE)
    except ValueError:
        return 0.5 * 2**tried
