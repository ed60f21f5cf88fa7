"""Column types of the models."""

import uuid
from typing import Any

import orjson
import uuid_utils
from django.db import models


def new_id() -> uuid.UUID:
    """Return a UUIDv7: it sorts by creation time, so that new rows land at the end of their index."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


class JSONText(models.TextField):
    """JSON, stored as text.

    Both databases return exactly the JSON that was written. PostgreSQL's jsonb reorders keys and turns 1e308 into an
    integer, and parses on every write, although no query looks inside.
    """

    # For the type checker: values are not limited to str, as they are in TextField.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value, expression, connection):
        return None if value is None else orjson.loads(value)

    def to_python(self, value):
        return value

    def get_prep_value(self, value):
        return None if value is None else orjson.dumps(value).decode()

    def value_to_string(self, obj):
        return orjson.dumps(self.value_from_object(obj)).decode()
