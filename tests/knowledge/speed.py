"""Time of a search in a large knowledge base: `python -m tests.knowledge.speed 100000`.

It uses a temporary SQLite database; with `--postgresql`, a temporary PostgreSQL server. The generated passages have a
realistic distribution of words: the n-th most common word occurs about 1/n as often as the first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from executor.testbed.postgresql import WITHOUT_DURABILITY, PostgreSQL

WORDS = 60  # in a passage: about 400 characters
VOCABULARY = 50_000
PER_DOCUMENT = 100
QUERIES = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chunks", type=int, nargs="?", default=100_000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bx-speed-", dir="/tmp") as folder:
        os.environ.update(BATCH_DATA=folder, DJANGO_SETTINGS_MODULE="batchsite.settings", BATCH_APPS="")
        os.environ.pop("DATABASE_URL", None)
        if not options.postgresql:
            measure(options.chunks)
            return
        server = Path(folder, "pg")
        server.mkdir()
        Path(folder).chmod(0o755)
        with PostgreSQL(server, **WITHOUT_DURABILITY) as running:
            os.environ["DATABASE_URL"] = running.url()
            measure(options.chunks)


def measure(count: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    import numpy as np

    from executor.knowledge.search import search
    from executor.knowledge.vectors import INDEX

    chance = np.random.default_rng(7)
    weights = 1 / np.arange(1, VOCABULARY + 1)
    weights /= weights.sum()
    started = time.perf_counter()
    fill(count, chance, weights)
    print(f"{count:,} chunks made in {time.perf_counter() - started:.0f} s")

    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    search("the first search loads the model and the vectors")
    took = time.perf_counter() - started
    used = (psutil.Process().memory_info().rss - before) / 1_048_576
    print(f"first search: {took:.2f} s; it keeps {used:,.0f} MB for {len(INDEX):,} vectors and the model")

    queries = [" ".join(words(chance, weights, 3 + turn % 7)) for turn in range(QUERIES)]
    for name, how in (
        ("hybrid", {}),
        ("hybrid in one area", {"area": "area 3"}),
        ("lexical alone", {"halves": ("lexical",)}),
        ("semantic alone", {"halves": ("semantic",)}),
    ):
        clock, processor = zip(*(timed(search, query, **how) for query in queries), strict=True)
        spread = f"p95 {statistics.quantiles(clock, n=20)[-1]:6.1f} ms   worst {max(clock):6.1f} ms"
        busy = f"processor time: median {statistics.median(processor):5.1f} ms"
        print(f"{name:20} median {statistics.median(clock):6.1f} ms   {spread}   {busy}   ({len(clock)} queries)")


def timed(call, *args, **kwargs) -> tuple[float, float]:
    """Milliseconds by the clock, and of this process's processor time, which others on the machine do not lengthen."""
    started, spent = time.perf_counter(), time.process_time()
    call(*args, **kwargs)
    return (time.perf_counter() - started) * 1000, (time.process_time() - spent) * 1000


def words(chance, weights, count: int) -> list[str]:
    return [f"w{number}" for number in chance.choice(VOCABULARY, count, p=weights)]


def fill(count: int, chance, weights) -> None:
    import numpy as np

    from executor.knowledge.embedder import embedder
    from executor.knowledge.index_state import write_transaction
    from executor.models import Chunk, Document

    model = embedder().name
    documents = []
    with write_transaction() as version:
        for start in range(0, count, PER_DOCUMENT):
            documents.append(
                Document(
                    source=f"made up {start}", title=f"Made up {start}", area=f"area {start // PER_DOCUMENT % 10}",
                    owner="cli", media_type="text/plain", size=1, characters=1, chunk_count=PER_DOCUMENT,
                    content_hash=f"{start:064}",
                )
            )  # fmt: skip
        Document.objects.bulk_create(documents, batch_size=500)
        for start in range(0, count, 5000):
            vectors = chance.standard_normal((5000, 256)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            picked = words(chance, weights, 5000 * WORDS)
            Chunk.objects.bulk_create(
                (
                    Chunk(
                        document=documents[number // PER_DOCUMENT], number=number % PER_DOCUMENT + 1,
                        text=" ".join(picked[(number - start) * WORDS : (number - start + 1) * WORDS]),
                        digest=f"{number:032}", vector=vectors[number - start].astype("<f2").tobytes(), model=model,
                        version=version,
                    )
                    for number in range(start, min(start + 5000, count))
                ),
                batch_size=500,
            )  # fmt: skip


if __name__ == "__main__":
    main()
