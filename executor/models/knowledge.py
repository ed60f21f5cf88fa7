"""The documents of the knowledge base in searchable chunks, and the memories of agents."""

import uuid

from django.db import models

from .fields import JSONText, new_id


class Document(models.Model):
    """A document of the knowledge base, visible to all callers with `read`. Content is unique within an area."""

    document_id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.CharField(max_length=500, help_text="The file's name or path, or the address it came from.")
    title = models.CharField(max_length=300)
    area = models.CharField(max_length=100, default="main")
    owner = models.CharField(max_length=100, help_text="Creator: user:<id>, token:<id> or cli.")
    media_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField(help_text="Bytes of the file.")
    characters = models.PositiveIntegerField(help_text="Characters of its text.")
    chunk_count = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of its text.")
    metadata = JSONText(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["area", "content_hash"], name="document_content")]
        indexes = [
            models.Index(fields=["area", "source"], name="document_source"),
            models.Index(fields=["-created_at", "-document_id"], name="document_newest"),
        ]

    def __str__(self):
        return self.title


class Chunk(models.Model):
    """A chunk of a document, the unit of search results.

    Triggers of the database keep its words in a full-text index. `vector` is its embedding by `model` as half-precision
    floats, empty until it is computed. `version` is the version of the index that added it.
    """

    document = models.ForeignKey(Document, models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField(help_text="1, 2, 3 … within its document.")
    section = models.CharField(max_length=500, blank=True, help_text="The headings above it.")
    text = models.TextField()
    position = JSONText(default=dict, help_text="Where it begins: line, page, row or item.")
    digest = models.CharField(max_length=32, help_text="The same text has the same digest.")
    vector = models.BinaryField(null=True)
    model = models.CharField(max_length=200, blank=True)
    version = models.PositiveBigIntegerField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="chunk_number")]
        indexes = [models.Index(fields=["model"], name="chunk_model")]

    def __str__(self):
        return f"{self.document_id}#{self.number}"


class KnowledgeIndex(models.Model):
    """A single row that tells a process that its copy of the vectors is outdated.

    Its row lock orders the writers: each addition or removal of chunks increments `version` in the same transaction.
    `epoch` identifies the database, so that a replaced one is noticed.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.UUIDField(default=uuid.uuid4)
    version = models.PositiveBigIntegerField(default=0)
    removals = models.PositiveBigIntegerField(default=0, help_text="Number of removals of chunks.")
    rebuilt_at = models.DateTimeField(null=True, blank=True, help_text="Time of the last rebuild of old vectors.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="knowledge_index_one_row")]

    def __str__(self):
        return f"version {self.version}"


class Memory(models.Model):
    """A memory of an agent. Only its owner has access."""

    memory_id = models.CharField(max_length=10, unique=True)
    owner = models.CharField(max_length=100, help_text="Owner of the batch: user:<id>, token:<id> or cli.")
    area = models.CharField(max_length=100, default="main")
    text = models.TextField()
    metadata = JSONText(default=dict, blank=True)
    vector = models.BinaryField()
    model = models.CharField(max_length=200)
    key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - unique where it is given
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "memories"
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="memory_key")]
        indexes = [models.Index(fields=["owner", "area"], name="memory_owner")]

    def __str__(self):
        return self.memory_id
