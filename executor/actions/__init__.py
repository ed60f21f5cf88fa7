"""The actions: everything that people and agents can ask for. One file each."""

from .base import Action, Call, Response
from .executor import ACTIONS, BatchExecutor

__all__ = ["ACTIONS", "Action", "BatchExecutor", "Call", "Response"]
