"""What `manage.py batch` is made of: its arguments, its verbs, and how answers look on a terminal."""

from .arguments import add_verbs
from .run import run

__all__ = ["add_verbs", "run"]
