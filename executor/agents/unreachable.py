"""The error of a server without a session. A module of its own: importing the MCP client takes a second."""


class Unreachable(Exception):
    """No session with the server; the text is the reason, without secrets."""
