"""Column types of our own."""

import uuid
from typing import Any

import orjson
import uuid_utils
from django.db import models


def new_id() -> uuid.UUID:
    """A UUIDv7: sorts by the time it was made, so that rows land at the end of their index."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


class JSONText(models.TextField):
    """JSON kept as the text it was written as.

    PostgreSQL's jsonb reorders keys and turns 1e308 into an integer, and both databases parse on every write; nobody
    asks them to look inside. Text gives back exactly what was put in, on both.
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
