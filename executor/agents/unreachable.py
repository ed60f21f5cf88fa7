"""The error of a server without a session. Separate, because importing the MCP client takes a second."""


class Unreachable(Exception):
    """No session with the server; the text is the reason, without secrets."""
