"""Polling of the web server's /healthz."""

import select
import time
from http.client import HTTPConnection, HTTPException

CONNECT_TIMEOUT = 0.2  # seconds
RETRY_DELAY = 1.0  # seconds before the next request after an answer that is not 200


class HealthProbe:
    """A request that is polled without blocking.

    Its connection waits in the listening socket's queue until the server accepts it, so the first poll after the start
    of the server gets the answer.
    """

    def __init__(self, host: str, port: int, host_name: str):
        self._connection = HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
        self._headers = {"Host": host_name, "Connection": "close"}
        self._sent = False
        self._not_before = 0.0

    def is_healthy(self) -> bool:
        """Return whether the server has answered with 200; False also while the answer is awaited."""
        if time.monotonic() < self._not_before:
            return False
        try:
            if not self._sent:
                self._connection.request("GET", "/healthz", headers=self._headers)
                self._sent = True
            if not select.select([self._connection.sock], [], [], 0)[0]:
                return False
            healthy = self._connection.getresponse().status == 200
        except (OSError, HTTPException):  # nothing listens yet, or the server died with this request
            self.close()
            return False
        self.close()
        self._not_before = time.monotonic() + RETRY_DELAY
        return healthy

    def close(self) -> None:
        self._connection.close()
        self._sent = False
