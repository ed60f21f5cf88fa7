"""Task functions."""

from __future__ import annotations

from executor import functions as registry


def list_functions() -> list[dict]:
    """Return every task function with its parameters as JSON Schema."""
    listed = []
    for name in registry.names(wait=True):
        function = registry.lookup(name)
        reason = function.unavailable()
        listed.append(
            {
                "name": name,
                "summary": function.summary,
                "doc": function.doc,
                "parameters": function.parameters.model_json_schema(),
                "example": function.example,
                "built_in": function.built_in,
                "scope": function.scope or None,
                "available": not reason,
                "unavailable_reason": reason or None,
            }
        )
    return listed
