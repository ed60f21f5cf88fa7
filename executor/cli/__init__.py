"""The parts of `manage.py batch`: its arguments, its verbs, and the output on a terminal."""

from .run import run
from .verbs import add_verbs

__all__ = ["add_verbs", "run"]
