import django.db.models.deletion
import executor.models.fields
import uuid
from django.db import migrations, models

# The words of the chunks in SQLite's FTS5: a separate table beside executor_chunk, which reads the text from
# there. Triggers keep it, so that whoever deletes a chunk in whatever way deletes its words too. SQLite drops triggers
# with their table: a later migration that remakes executor_chunk has to make them again (`make_word_index`).
SQLITE = (
    """
    CREATE VIRTUAL TABLE executor_chunk_words USING fts5(
        section, text, content='executor_chunk', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER executor_chunk_added AFTER INSERT ON executor_chunk BEGIN
        INSERT INTO executor_chunk_words (rowid, section, text) VALUES (new.id, new.section, new.text);
    END
    """,
    """
    CREATE TRIGGER executor_chunk_removed AFTER DELETE ON executor_chunk BEGIN
        INSERT INTO executor_chunk_words (executor_chunk_words, rowid, section, text)
        VALUES ('delete', old.id, old.section, old.text);
    END
    """,
    """
    CREATE TRIGGER executor_chunk_changed AFTER UPDATE OF section, text ON executor_chunk BEGIN
        INSERT INTO executor_chunk_words (executor_chunk_words, rowid, section, text)
        VALUES ('delete', old.id, old.section, old.text);
        INSERT INTO executor_chunk_words (rowid, section, text) VALUES (new.id, new.section, new.text);
    END
    """,
    "INSERT INTO executor_chunk_words (executor_chunk_words) VALUES ('rebuild')",
)
SQLITE_BACK = (
    "DROP TRIGGER IF EXISTS executor_chunk_added",
    "DROP TRIGGER IF EXISTS executor_chunk_removed",
    "DROP TRIGGER IF EXISTS executor_chunk_changed",
    "DROP TABLE IF EXISTS executor_chunk_words",
)

# PostgreSQL keeps them in a generated column; headings count more than text. Its parser would make one word of KX-4471,
# a_b or example.org/x: with spaces between, their parts are found as on SQLite.
POSTGRESQL = (
    """
    ALTER TABLE executor_chunk ADD COLUMN words tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', translate(section, '-_/.@:', '      ')), 'A')
        || setweight(to_tsvector('english', translate(text, '-_/.@:', '      ')), 'B')
    ) STORED
    """,
    "CREATE INDEX executor_chunk_words ON executor_chunk USING gin (words)",
)
POSTGRESQL_BACK = ("ALTER TABLE executor_chunk DROP COLUMN words",)


def make_word_index(apps, schema_editor):
    _run(schema_editor, SQLITE, POSTGRESQL)


def drop_word_index(apps, schema_editor):
    _run(schema_editor, SQLITE_BACK, POSTGRESQL_BACK)


def _run(schema_editor, sqlite, postgresql):
    for statement in postgresql if schema_editor.connection.vendor == "postgresql" else sqlite:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("executor", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "document_id",
                    models.UUIDField(
                        default=executor.models.fields.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(help_text="The file's name or path, or the address it came from.", max_length=500),
                ),
                ("title", models.CharField(max_length=300)),
                ("area", models.CharField(default="main", max_length=100)),
                ("owner", models.CharField(help_text="Creator: user:<id>, token:<id> or cli.", max_length=100)),
                ("media_type", models.CharField(max_length=100)),
                ("size", models.PositiveBigIntegerField(help_text="Bytes of the file.")),
                ("characters", models.PositiveIntegerField(help_text="Characters of its text.")),
                ("chunk_count", models.PositiveIntegerField()),
                ("content_hash", models.CharField(help_text="SHA-256 of its text.", max_length=64)),
                ("metadata", executor.models.fields.JSONText(blank=True, default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["area", "source"], name="document_source"),
                    models.Index(fields=["-created_at", "-document_id"], name="document_newest"),
                ],
                "constraints": [models.UniqueConstraint(fields=("area", "content_hash"), name="document_content")],
            },
        ),
        migrations.CreateModel(
            name="KnowledgeIndex",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("epoch", models.UUIDField(default=uuid.uuid4)),
                ("version", models.PositiveBigIntegerField(default=0)),
                ("removals", models.PositiveBigIntegerField(default=0, help_text="Number of removals of chunks.")),
                (
                    "rebuilt_at",
                    models.DateTimeField(blank=True, help_text="Time of the last rebuild of old vectors.", null=True),
                ),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="knowledge_index_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Memory",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("memory_id", models.CharField(max_length=10, unique=True)),
                (
                    "owner",
                    models.CharField(help_text="Owner of the batch: user:<id>, token:<id> or cli.", max_length=100),
                ),
                ("area", models.CharField(default="main", max_length=100)),
                ("text", models.TextField()),
                ("metadata", executor.models.fields.JSONText(blank=True, default=dict)),
                ("vector", models.BinaryField()),
                ("model", models.CharField(max_length=200)),
                ("key", models.CharField(blank=True, max_length=200, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "memories",
                "indexes": [models.Index(fields=["owner", "area"], name="memory_owner")],
                "constraints": [models.UniqueConstraint(fields=("owner", "key"), name="memory_key")],
            },
        ),
        migrations.CreateModel(
            name="Chunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(help_text="1, 2, 3 … within its document.")),
                ("section", models.CharField(blank=True, help_text="The headings above it.", max_length=500)),
                ("text", models.TextField()),
                (
                    "position",
                    executor.models.fields.JSONText(
                        default=dict, help_text="Where it begins: line, page, row or item."
                    ),
                ),
                ("digest", models.CharField(help_text="The same text has the same digest.", max_length=32)),
                ("vector", models.BinaryField(null=True)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("version", models.PositiveBigIntegerField(db_index=True)),
                (
                    "document",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="executor.document",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["model"], name="chunk_model")],
                "constraints": [models.UniqueConstraint(fields=("document", "number"), name="chunk_number")],
            },
        ),
        migrations.RunPython(make_word_index, drop_word_index),
    ]
