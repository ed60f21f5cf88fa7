"""Chunks by their words: SQLite's FTS5 with bm25, PostgreSQL's full text search with ts_rank."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from uuid import UUID

from django.db import connection

from executor.sql import is_postgresql

MOST_WORDS = 32
_WORD = re.compile(r"\w+(?:[-.'’_]\w+)*")
# What a question is made of besides what it is about.
_STOP_WORDS = """
    a about an and any are as at be been being but by can could did do does for from had has have how i if in into is
    it its me my of on or our shall she should so some such than that the their them there these they this those to
    was we were what when where which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words_of(query: str) -> list[str]:
    """The words that a query is about; all of them when it has no others."""
    words = list(dict.fromkeys(word.casefold() for word in _WORD.findall(query)))
    return ([word for word in words if word not in STOP_WORDS] or words)[:MOST_WORDS]


def matching(query: str, limit: int, documents: Collection[UUID] | None) -> list[int]:
    """The ids of the chunks that have words of the query, the best first; of these documents alone where given."""
    words = words_of(query)
    if not words:
        return []
    return (_postgresql if is_postgresql() else _sqlite)(words, limit, documents)


def _sqlite(words: list[str], limit: int, documents: Collection[UUID] | None) -> list[int]:
    match = " OR ".join(f'"{word}"' for word in words)
    if documents is None:
        sql = """SELECT rowid FROM executor_chunk_words WHERE executor_chunk_words MATCH %s
                 ORDER BY bm25(executor_chunk_words, 1.0, 1.0), rowid LIMIT %s"""
        given = [match, limit]
    else:
        sql = """SELECT chunk.id FROM executor_chunk_words
                 JOIN executor_chunk chunk ON chunk.id = executor_chunk_words.rowid
                 WHERE executor_chunk_words MATCH %s AND chunk.document_id IN (SELECT value FROM json_each(%s))
                 ORDER BY bm25(executor_chunk_words, 1.0, 1.0), chunk.id LIMIT %s"""
        given = [match, json.dumps([document.hex for document in documents]), limit]
    return _ids(sql, given)


def _postgresql(words: list[str], limit: int, documents: Collection[UUID] | None) -> list[int]:
    """ts_rank knows nothing of how rare a word is: each word is ranked by itself and weighted by that."""
    marks = ", ".join(["(to_tsquery('english', %s))"] * len(words))
    among, given = "", []
    if documents is not None:
        among, given = "AND chunk.document_id = ANY(%s)", [list(documents)]
    sql = f"""
        WITH word AS MATERIALIZED (
            SELECT query, (SELECT count(*) FROM executor_chunk WHERE words @@ query) AS found
            FROM (VALUES {marks}) AS asked (query) WHERE numnode(query) > 0
        ), total AS MATERIALIZED (SELECT count(*) AS chunks FROM executor_chunk)
        SELECT chunk.id FROM word JOIN executor_chunk chunk ON chunk.words @@ word.query CROSS JOIN total
        WHERE TRUE {among}
        GROUP BY chunk.id
        ORDER BY sum(ln(1 + (chunks - found + 0.5) / (found + 0.5)) * ts_rank(chunk.words, query, 1)) DESC, chunk.id
        LIMIT %s"""
    quoted = ["'" + word.replace("'", "''") + "'" for word in words]
    return _ids(sql, [*quoted, *given, limit])


def _ids(sql: str, given: list) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return [row[0] for row in cursor.fetchall()]
