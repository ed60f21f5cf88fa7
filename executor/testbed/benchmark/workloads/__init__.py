"""The workloads: functions of the number of tasks, and of the web server's port and pid where there is one.

Each returns its figures. They run in a process of their own.
"""

from collections.abc import Callable

from .history import history
from .intake import add
from .latency import critical, http, latency
from .live import sockets
from .programs import sandbox
from .rest import idle, up
from .throughput import crowd, growth, noop, noop5, plain, sleep

WORK: dict[str, Callable[..., dict]] = {
    work.__name__: work
    for work in (
        *(noop, noop5, sleep, crowd, plain, add, latency, http, critical),
        *(history, growth, sockets, sandbox, idle, up),
    )
}
