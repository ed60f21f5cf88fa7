"""Chunks by their words: SQLite's FTS5 with bm25, PostgreSQL's full text search with ts_rank."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum

from executor.db.statements import is_postgresql
from executor.models import Document

from .state import state

MOST_WORDS = 32
_WORD = re.compile(r"\w+(?:[-.'’_/@:]\w+)*")
# What a question is made of besides what it is about.
_STOP_WORDS = """
    a about an and any are as at be been being but by can could did do does for from had has have how i if in into is
    it its me my of on or our shall she should so some such than that the their them there these they this those to
    was we were what when where which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# A word that is in more of the chunks than this decides little beside rarer ones, and costs the most.
COMMON = 0.1
_SMALL = 2000  # chunks: below this no word costs anything
_COUNTS_KEPT = 20_000
RANKED = 2000  # chunks that PostgreSQL ranks, those with the largest share: ranking reads all words of each


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk that has words of the query; `share` is how much of it, 0 to 1, rare words counting more."""

    chunk_id: int
    share: float


def words_of(query: str) -> list[str]:
    """The words that a query is about; all of them when it has no others."""
    words = list(dict.fromkeys(word.casefold() for word in _WORD.findall(query)))
    return ([word for word in words if word not in STOP_WORDS] or words)[:MOST_WORDS]


def matching(query: str, limit: int, documents: Collection[UUID] | None) -> list[Match]:
    """The chunks that have words of the query, the best first; of these documents alone where given."""
    chunks = _chunks()
    most = max(int(COMMON * chunks), _SMALL) + 1  # from here on a word is common, and it does not matter how common
    counts = _counts_of(words_of(query), most)
    if not any(counts.values()):
        return []
    dialect = _dialect()
    weights = {word: dialect.weight(count, chunks) for word, count in counts.items()}
    weights = {word: weights[word] for word in weights if counts[word] < most} or weights
    total = sum(weights.values())
    found = dialect.ranked(weights, limit, documents)
    return [Match(chunk_id, min(1.0, weight / total)) for chunk_id, weight in found]


class SQLite:
    """FTS5. A word with signs in it is a phrase of its parts, as the index has it."""

    def count(self, word: str, most: int) -> int:
        sql = """SELECT count(*) FROM (
                     SELECT 1 FROM executor_chunk_words WHERE executor_chunk_words MATCH %s LIMIT %s
                 )"""
        return _rows(sql, [_quoted(word), most])[0][0]

    def weight(self, count: int, chunks: int) -> float:
        """As bm25 weighs it: a chunk of ordinary length with the word once gets just this."""
        return max(math.log((chunks - count + 0.5) / (count + 0.5)), 1e-6)

    def ranked(self, weights: dict[str, float], limit: int, documents: Collection[UUID] | None) -> list:
        match = " OR ".join(map(_quoted, weights))
        if documents is None:
            sql = """SELECT rowid, -bm25(executor_chunk_words) AS worth FROM executor_chunk_words
                     WHERE executor_chunk_words MATCH %s ORDER BY worth DESC, rowid LIMIT %s"""
            return _rows(sql, [match, limit])
        sql = """SELECT chunk.id, -bm25(executor_chunk_words) AS worth FROM executor_chunk_words
                 JOIN executor_chunk chunk ON chunk.id = executor_chunk_words.rowid
                 WHERE executor_chunk_words MATCH %s AND chunk.document_id IN (SELECT value FROM json_each(%s))
                 ORDER BY worth DESC, chunk.id LIMIT %s"""
        return _rows(sql, [match, json.dumps([document.hex for document in documents]), limit])


class PostgreSQL:
    """Full text search. ts_rank knows nothing of how rare a word is: each is ranked by itself and weighted by that."""

    def count(self, word: str, most: int) -> int:
        sql = """SELECT count(*) FROM (
                     SELECT 1 FROM executor_chunk WHERE words @@ phraseto_tsquery('english', %s) LIMIT %s
                 ) AS hits"""
        return _rows(sql, [_spaced(word), most])[0][0]

    def weight(self, count: int, chunks: int) -> float:
        return math.log(1 + (chunks - count + 0.5) / (count + 0.5))

    def ranked(self, weights: dict[str, float], limit: int, documents: Collection[UUID] | None) -> list:
        rows = ", ".join(["(phraseto_tsquery('english', %s), %s::float)"] * len(weights))
        among = "" if documents is None else "WHERE chunk.document_id = ANY(%s)"
        sql = f"""WITH word AS MATERIALIZED (SELECT * FROM (VALUES {rows}) AS word (query, weight)),
                  hit AS MATERIALIZED (
                      SELECT chunk.id, sum(weight) AS share
                      FROM word JOIN executor_chunk chunk ON chunk.words @@ word.query {among}
                      GROUP BY chunk.id ORDER BY share DESC, chunk.id LIMIT {RANKED}
                  )
                  SELECT hit.id, hit.share
                  FROM hit JOIN executor_chunk chunk ON chunk.id = hit.id CROSS JOIN word
                  GROUP BY hit.id, hit.share
                  ORDER BY sum(weight * ts_rank(chunk.words, query, 1)) DESC, hit.id LIMIT %s"""
        given = [value for word, weight in weights.items() for value in (_spaced(word), weight)]
        with transaction.atomic():
            _execute("SET LOCAL jit = off")  # compiling the query takes longer than carrying it out
            return _rows(sql, [*given, *([] if documents is None else [list(documents)]), limit])


def _dialect() -> SQLite | PostgreSQL:
    return PostgreSQL() if is_postgresql() else SQLite()


# How many chunks have a word, as long as no chunk comes or goes: counting a common one takes milliseconds.
_lock = threading.Lock()
_counts: dict[str, int] = {}
_counted_at: tuple = ()


def _counts_of(words: list[str], most: int) -> dict[str, int]:
    global _counted_at
    now = state()
    with _lock:
        if _counted_at != (now.epoch, now.version) or len(_counts) > _COUNTS_KEPT:
            _counts.clear()
            _counted_at = (now.epoch, now.version)
        known = {word: _counts[word] for word in words if word in _counts}
    dialect = _dialect()
    found = {word: dialect.count(word, most) for word in words if word not in known}
    with _lock:
        if _counted_at == (now.epoch, now.version):
            _counts.update(found)
    return {word: known.get(word, found.get(word, 0)) for word in words}


def _chunks() -> int:
    return Document.objects.aggregate(chunks=Sum("chunk_count"))["chunks"] or 0


def _quoted(word: str) -> str:
    return f'"{word}"'


def _spaced(word: str) -> str:
    return re.sub(r"\W|_", " ", word)


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _rows(sql: str, given: list) -> list:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall()
