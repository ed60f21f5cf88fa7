"""Search by words: SQLite's FTS5 with bm25, PostgreSQL's full text search with ts_rank."""

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

from .index_state import index_state

MAX_WORDS = 32
_WORD = re.compile(r"\w+(?:[-.'’_/@:]\w+)*")
# Words of a question that do not describe its topic.
_STOP_WORDS = """
    a about an and any are as at be been being but by can could did do does for from had has have how i if in into is
    it its me my of on or our shall she should so some such than that the their them there these they this those to
    was we were what when where which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# A word in more than this share of the chunks decides little beside rarer words, and costs the most.
COMMON_SHARE = 0.1
_SMALL_INDEX = 2000  # chunks; below this every word is cheap
_MAX_CACHED_COUNTS = 20_000
MAX_RANKED = 2000  # chunks that PostgreSQL ranks, those of the largest share: ranking reads all words of each


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk with words of the query. `share` is their weighted share, 0 to 1; rare words weigh more."""

    chunk_id: int
    share: float


def words_of(query: str) -> list[str]:
    """Return the words of a query without stop words; all of them if there are no others."""
    words = list(dict.fromkeys(word.casefold() for word in _WORD.findall(query)))
    return ([word for word in words if word not in STOP_WORDS] or words)[:MAX_WORDS]


def matching(query: str, limit: int, documents: Collection[UUID] | None) -> list[Match]:
    """Return the chunks with words of the query, the best first; only of `documents`, if given."""
    chunks = _chunks()
    most = (
        max(int(COMMON_SHARE * chunks), _SMALL_INDEX) + 1
    )  # words with this count are common; counting further is pointless
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
    """FTS5. A word with punctuation is a phrase of its parts, as in the index."""

    def count(self, word: str, most: int) -> int:
        """Return the number of chunks with the word, at most `most`."""
        sql = """SELECT count(*) FROM (
                     SELECT 1 FROM executor_chunk_words WHERE executor_chunk_words MATCH %s LIMIT %s
                 )"""
        return _rows(sql, [_quoted(word), most])[0][0]

    def weight(self, count: int, chunks: int) -> float:
        """Return the weight by bm25, for a chunk of average length with one occurrence."""
        return max(math.log((chunks - count + 0.5) / (count + 0.5)), 1e-6)

    def ranked(self, weights: dict[str, float], limit: int, documents: Collection[UUID] | None) -> list:
        """Return (chunk id, weight) rows, the best first."""
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
    """Full text search. ts_rank ignores how rare a word is, so words are ranked separately and weighted."""

    def count(self, word: str, most: int) -> int:
        """Return the number of chunks with the word, at most `most`."""
        sql = """SELECT count(*) FROM (
                     SELECT 1 FROM executor_chunk WHERE words @@ phraseto_tsquery('english', %s) LIMIT %s
                 ) AS hits"""
        return _rows(sql, [_spaced(word), most])[0][0]

    def weight(self, count: int, chunks: int) -> float:
        """Return the inverse document frequency."""
        return math.log(1 + (chunks - count + 0.5) / (count + 0.5))

    def ranked(self, weights: dict[str, float], limit: int, documents: Collection[UUID] | None) -> list:
        """Return (chunk id, weight) rows, the best first."""
        rows = ", ".join(["(phraseto_tsquery('english', %s), %s::float)"] * len(weights))
        condition = "" if documents is None else "WHERE chunk.document_id = ANY(%s)"
        sql = f"""WITH word AS MATERIALIZED (SELECT * FROM (VALUES {rows}) AS word (query, weight)),
                  hit AS MATERIALIZED (
                      SELECT chunk.id, sum(weight) AS share
                      FROM word JOIN executor_chunk chunk ON chunk.words @@ word.query {condition}
                      GROUP BY chunk.id ORDER BY share DESC, chunk.id LIMIT {MAX_RANKED}
                  )
                  SELECT hit.id, hit.share
                  FROM hit JOIN executor_chunk chunk ON chunk.id = hit.id CROSS JOIN word
                  GROUP BY hit.id, hit.share
                  ORDER BY sum(weight * ts_rank(chunk.words, query, 1)) DESC, hit.id LIMIT %s"""
        parameters = [value for word, weight in weights.items() for value in (_spaced(word), weight)]
        with transaction.atomic():
            _execute("SET LOCAL jit = off")  # compiling the query takes longer than running it
            return _rows(sql, [*parameters, *([] if documents is None else [list(documents)]), limit])


def _dialect() -> SQLite | PostgreSQL:
    return PostgreSQL() if is_postgresql() else SQLite()


# Numbers of chunks by word, valid until the index changes: counting a common word takes milliseconds.
_lock = threading.Lock()
_counts: dict[str, int] = {}
_counted_at: tuple = ()


def _counts_of(words: list[str], most: int) -> dict[str, int]:
    global _counted_at
    now = index_state()
    with _lock:
        if _counted_at != (now.epoch, now.version) or len(_counts) > _MAX_CACHED_COUNTS:
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


def _rows(sql: str, parameters: list) -> list:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
