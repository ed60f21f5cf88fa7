"""Typed and validated environment variables. A wrong value ends the process with one sentence."""

import math
import os


def number(name: str, default: float, least: float = 0, most: float = math.inf) -> float:
    """Return a finite number. Raises SystemExit."""
    return _number(name, default, least, most, "a number")


def integer(name: str, default: int, least: int = 0, most: float = math.inf) -> int:
    """Return a whole number. Raises SystemExit."""
    return int(_number(name, default, least, most, "a whole number"))


def words(name: str) -> list[str]:
    """Return the parts of a comma-separated list."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def flag(name: str) -> bool:
    """Return whether the variable is "1"."""
    return os.environ.get(name) == "1"


def _number(name: str, default: float, least: float, most: float, kind: str) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    is_of_kind = math.isfinite(value) and (kind == "a number" or value == int(value))
    if not is_of_kind or not least <= value <= most:
        bounds = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise SystemExit(f"{name} must be {kind} {bounds}, not {text!r}.")
    return value
