"""The text that both databases can store."""


def is_storable(text: str) -> bool:
    """Return whether SQLite and PostgreSQL both store this text.

    PostgreSQL refuses NUL, and both refuse a lone surrogate, even as a value to search for.
    """
    return "\x00" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))
