"""The actions: everything that people and agents can ask for, one file each."""

from executor.domain.discovery import import_submodules

from .call import Call, Response
from .executor import BatchExecutor
from .registry import ACTIONS, Action, Button, buttons

import_submodules(__name__)

__all__ = ["ACTIONS", "Action", "BatchExecutor", "Button", "Call", "Response", "buttons"]
