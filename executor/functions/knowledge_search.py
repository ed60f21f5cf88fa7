"""knowledge_search: find passages in the knowledge base."""

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from .in_thread import in_thread
from .knowledge_types import Area, FilterText, Query, Threshold, filter_of
from .registry import task_function


class KnowledgeSearchParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Query = Field(
        validation_alias=AliasChoices("query", "question"),
        description="What to look for: a question or words. `question` is another name for it.",
        examples=["How long is a login link valid?"],
    )
    limit: int = Field(10, ge=1, le=100, description="The maximum number of results.")
    threshold: Threshold = Field(
        0.0, description="The minimum score of a result, 0 to 1; 0.5 is unrelated, 0.7 is about the same topic."
    )
    area: Area = Field("", description="Only documents of this area; empty: all.")
    filter: FilterText = Field(
        "",
        description="A condition over the documents' metadata, source, title, area, media_type and created_at, "
        "like `year >= 2020 and 'draft' not in tags`.",
    )


@task_function("knowledge_search", example={"query": "How long is a login link valid?", "limit": 5})
async def knowledge_search(params: KnowledgeSearchParameters) -> dict:
    """Find passages in the documents of the knowledge base, by their words and by their meaning.

    The result has `count` and `results`, the best first: each with text, score, source, position, title, area, section,
    document_id, metadata and `matched` (lexical, semantic or both). `score` is the similarity of meaning, (1 + cosine)
    / 2; the order combines words and meaning, so that an exact word can come before a higher score. `note` names what
    could not be searched.
    """
    return await in_thread(_search, params)


def _search(params: KnowledgeSearchParameters) -> dict:
    from executor.knowledge.search import search  # deferred: loads numpy

    found = search(
        params.query,
        limit=params.limit,
        threshold=params.threshold,
        area=params.area,
        filter=filter_of(params.filter),
    )
    answer = {"query": params.query, "count": len(found.hits), "results": [hit.as_dict() for hit in found.hits]}
    return {**answer, "note": found.note} if found.note else answer
