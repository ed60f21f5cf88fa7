"""Hybrid search: results by words and by meaning, fused by rank."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from uuid import UUID

import numpy as np

from executor.domain.errors import Unavailable
from executor.models import Chunk, Document

from .arrays import unpack_vectors
from .embedder import embedder
from .expressions import Filter
from .lexical import matching
from .reembedding import reembed_in_background
from .vectors import INDEX

logger = logging.getLogger(__name__)

CANDIDATES = 100  # of each half
# Reciprocal rank fusion: a chunk scores weight / (RANK_CONSTANT + rank) in each half. A lexical match is weighted by
# its share of the query; otherwise a passage with a single chance word of a long question could come first.
RANK_CONSTANT = 60  # as in the original paper


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found. `score` is the similarity of meaning, (1 + cosine) / 2; None without an embedder."""

    text: str
    score: float | None
    source: str
    position: dict
    document_id: str
    title: str
    area: str
    section: str
    matched: list[str]
    metadata: dict

    def as_dict(self) -> dict:
        """Return the hit for API, command line and results."""
        return asdict(self)

    @property
    def matched_by(self) -> str:
        """Description of `matched` for the page."""
        return " and ".join({"lexical": "its words", "semantic": "its meaning"}[half] for half in self.matched)

    @property
    def before(self) -> int:
        """Number of the last passage before it that the document's page omits."""
        return max(self.position["chunk"] - 2, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """The hits, best first. `note` names the parts that could not be searched, and why."""

    hits: list[Hit] = field(default_factory=list)
    note: str = ""


def score_of(cosine: float) -> float:
    """Map a cosine (-1 to 1) to a score (0 to 1), as Agent Zero's memory does: unrelated texts are near 0.5."""
    return round(min(max((1 + cosine) / 2, 0.0), 1.0), 4)


def search(
    query: str,
    *,
    limit: int = 10,
    threshold: float = 0.0,
    area: str = "",
    filter: Filter | None = None,
    halves: tuple[str, ...] = ("lexical", "semantic"),
) -> Found:
    """Return the chunks that match a query, the best first."""
    documents = _documents(area, filter)
    if documents is not None and not documents:
        return Found()
    ranks: dict[str, dict[int, float]] = {}
    note, vector = "", None
    if "lexical" in halves:
        ranks["lexical"] = {each.chunk_id: each.share for each in matching(query, CANDIDATES, documents)}
    if "semantic" in halves:
        try:
            model = embedder()
            vector = model.embed([query])[0]
            near = INDEX.nearest(vector, model.name, CANDIDATES, documents)
            ranks["semantic"] = {each.chunk_id: 1.0 for each in near}
            note = reembed_in_background(model.name)
        except Unavailable as error:
            logger.warning("searched by words only: %s", error.message)
            note = f"Searched by words only: {error.message}"
    return Found(_hits(fuse(ranks), ranks, vector, limit, threshold), note)


def fuse(ranks: dict[str, dict[int, float]]) -> list[int]:
    """Merge rankings into one. A ranking maps chunk ids, the best first, to their weights."""
    scores: dict[int, float] = {}
    for weights in ranks.values():
        for rank, (chunk_id, weight) in enumerate(weights.items(), 1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight / (RANK_CONSTANT + rank)
    return sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))


def _documents(area: str, condition: Filter | None) -> set[UUID] | None:
    """Return the ids of the documents to search; None means all."""
    if not area and condition is None:
        return None
    documents = Document.objects.filter(area=area) if area else Document.objects.all()
    if condition is None:
        return set(documents.values_list("pk", flat=True))
    return {document.pk for document in documents.iterator() if condition.matches(facts(document))}


def facts(document: Document) -> dict:
    """Return the values for filters: the metadata, and the fields of every document."""
    return {
        **document.metadata,
        "document_id": str(document.pk),
        "source": document.source,
        "title": document.title,
        "area": document.area,
        "owner": document.owner,
        "media_type": document.media_type,
        "size": document.size,
        "created_at": document.created_at.isoformat(),
    }


def _hits(order: list[int], ranks: dict, vector: np.ndarray | None, limit: int, threshold: float) -> list[Hit]:
    hits: list[Hit] = []
    seen: set[str] = set()
    step = limit + 5  # a few are skipped
    for start in range(0, len(order), step):
        chunk_ids = order[start : start + step]
        chunks = Chunk.objects.select_related("document").in_bulk(chunk_ids)
        for chunk_id in chunk_ids:
            chunk = chunks.get(chunk_id)  # None: it was removed during the search
            if chunk is None or chunk.digest in seen:
                continue
            score = _score(chunk, vector)
            if threshold and (score is None or score < threshold):
                continue
            seen.add(chunk.digest)
            matched = [half for half in ranks if chunk_id in ranks[half]]
            hits.append(_hit(chunk, score, matched))
            if len(hits) == limit:
                return hits
    return hits


def _score(chunk: Chunk, vector: np.ndarray | None) -> float | None:
    if vector is None or chunk.vector is None:
        return None
    own = unpack_vectors([chunk.vector])[0]
    return score_of(float(own @ vector)) if len(own) == len(vector) else None


def _hit(chunk: Chunk, score: float | None, matched: list[str]) -> Hit:
    document = chunk.document
    return Hit(
        text=chunk.text,
        score=score,
        source=document.source,
        position={"chunk": chunk.number, "of": document.chunk_count, **chunk.position},
        document_id=str(document.pk),
        title=document.title,
        area=document.area,
        section=chunk.section,
        matched=matched,
        metadata=document.metadata,
    )
