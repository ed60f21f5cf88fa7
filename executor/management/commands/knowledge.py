"""`manage.py knowledge add PATH… | list | remove ID… | search QUERY | renew`: documents for the search of tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from executor.access import caller_of_shell
from executor.domain.errors import ExecutorError
from executor.knowledge import documents
from executor.knowledge.expressions import BadExpression, Filter
from executor.knowledge.formats import SUFFIXES


class Command(BaseCommand):
    help = "Add, list, remove and search the documents of the knowledge base."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|list|remove|search|renew")
        add = verbs.add_parser("add", help="add files and folders; a changed file replaces its older content")
        add.add_argument("paths", nargs="+", metavar="PATH")
        add.add_argument("--area", default="main")
        add.add_argument("--metadata", default="", help="values for filters, as JSON or key=value,key=value")
        listed = verbs.add_parser("list", help="list documents, the newest first")
        listed.add_argument("--area", default="")
        listed.add_argument("--json", action="store_true")
        remove = verbs.add_parser("remove", help="remove documents by id, or by the first characters of an id")
        remove.add_argument("ids", nargs="+", metavar="ID")
        search = verbs.add_parser("search", help="find passages")
        search.add_argument("query", nargs="+")
        search.add_argument("--limit", type=int, default=5)
        search.add_argument("--threshold", type=float, default=0.0)
        search.add_argument("--area", default="")
        search.add_argument("--filter", default="", help="a condition over metadata: year >= 2020")
        search.add_argument("--json", action="store_true")
        verbs.add_parser("renew", help="rebuild vectors after a change of the embedder")

    def handle(self, *, verb, **options):
        try:
            getattr(self, verb)(**options)
        except ExecutorError as error:
            raise CommandError(f"{error.message} {error.fix}".strip()) from None

    def add(self, *, paths, area, metadata, **_options):
        values = _parse_metadata(metadata)
        files = [file for path in paths for file in _files(Path(path))]
        if not files:
            raise CommandError(f"There is no file to add. Known formats are {', '.join(sorted(SUFFIXES))}.")
        failed = 0
        for file in files:
            try:
                source = str(file.resolve())
                added = documents.add(
                    file.name,
                    file.read_bytes(),
                    source=source[-500:],
                    owner=caller_of_shell().key,
                    area=area,
                    metadata=values,
                    replace=True,
                )
                document = added.document
                self.stdout.write(f"{added.status:9} {document.pk}  {document.chunk_count:5} passages  {file}")
            except (ExecutorError, OSError) as error:
                failed += 1
                self.stderr.write(f"failed    {file}: {getattr(error, 'message', error)}")
        if failed:
            raise CommandError(f"{failed} of {len(files)} files could not be added.")

    def list(self, *, area, json: bool, **_options):
        cursor: str | None = ""
        while cursor is not None:
            page, cursor = documents.list_documents(area, limit=500, cursor=cursor)
            for document in page:
                if json:
                    self.stdout.write(_json(documents.as_dict(document)))
                else:
                    size = f"{document.chunk_count:5} passages"
                    self.stdout.write(f"{document.pk}  {document.area:12} {size}  {document.source}")

    def remove(self, *, ids, **_options):
        for document_id in ids:
            document = documents.remove(document_id, actor=caller_of_shell().key)
            self.stdout.write(f"removed {document.pk}  {document.source}")

    def search(self, *, query, limit, threshold, area, filter, json: bool, **_options):
        from executor.knowledge.search import search  # deferred: loads numpy

        try:
            condition = Filter(filter) if filter else None
        except BadExpression as error:
            raise CommandError(f"{error}.") from None
        if limit < 1:
            raise CommandError("--limit must be at least 1.")
        found = search(" ".join(query), limit=limit, threshold=threshold, area=area, filter=condition)
        if found.note:
            self.stderr.write(found.note)
        for number, hit in enumerate(found.hits, 1):
            if json:
                self.stdout.write(_json(hit.as_dict()))
                continue
            score = "-" if hit.score is None else f"{hit.score:.2f}"
            position = ", ".join(
                f"{name} {value}" for name, value in hit.position.items() if name not in ("chunk", "of")
            )
            self.stdout.write(f"{number}. {hit.title}  [{score}, {' + '.join(hit.matched)}]  {hit.source}, {position}")
            self.stdout.write("   " + " ".join(hit.text.split())[:300] + "\n")
        if not found.hits:
            self.stderr.write("Nothing was found.")

    def renew(self, **_options):
        from executor.knowledge.reembedding import reembed  # deferred: loads numpy

        done = reembed(lambda done: self.stderr.write(f"{done} vectors"))
        self.stdout.write(f"{done} vectors were rebuilt.")


def _files(path: Path) -> Iterator[Path]:
    """Yield the file, or the readable files below a folder except hidden ones."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for each in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in each.relative_to(path).parts)
            if not hidden and each.is_file() and each.suffix.lower() in SUFFIXES:
                yield each
    else:
        raise CommandError(f"There is no file or folder {path}.")


def _parse_metadata(text: str) -> dict:
    """Parse JSON, or `name=value` pairs with commas between them.

    Raises CommandError.
    """
    if text.strip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise CommandError(f"--metadata is not JSON: {error}.") from None
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not sign for _, sign, _ in pairs):
        raise CommandError("--metadata must be JSON, or key=value,key=value.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _json(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False)
