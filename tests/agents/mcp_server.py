"""An MCP server, built on the server of the package `mcp`: `mcp_server.py stdio`, or `mcp_server.py http FD`.

It logs its calls to the file MCP_MARKS. With MCP_KEY set, requests need that key.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("tests", log_level="CRITICAL")
is_deaf = False


def note(word: str, pid: int = 0) -> None:
    if path := os.environ.get("MCP_MARKS"):
        with open(path, "a") as file:
            file.write(f"{word} {pid or os.getpid()}\n")


class Sum(BaseModel):
    total: int
    pid: int


@server.tool()
def add(a: int, b: int = 1) -> Sum:
    """Add two numbers.

    Also negative ones.
    """
    note("add")
    return Sum(total=a + b, pid=os.getpid())


@server.tool(structured_output=False)
def say(text: str) -> str:
    """Return the text."""
    return text


@server.tool(structured_output=False)
def fail(reason: str) -> str:
    """Fail with a message that contains the key."""
    raise ValueError(f"{reason} with {os.environ.get('MCP_KEY', 'no key')}")


@server.tool(structured_output=False)
async def nap(seconds: float, context: Context, deaf: bool = False) -> str:
    """Sleep and report progress. With `deaf`, the server ignores the end of its stdin and SIGTERM."""
    if deaf:
        global is_deaf
        is_deaf = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("child", subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL).pid)
    note("nap")
    try:
        await context.report_progress(1, 2, "asleep")
        await asyncio.sleep(seconds)
    except (asyncio.CancelledError, anyio.get_cancelled_exc_class()):
        note("woken")
        raise
    return "slept"


@server.tool(structured_output=False)
def environment() -> str:
    """Return the names of all environment variables."""
    return " ".join(sorted(os.environ))


@server.tool(structured_output=False)
def die() -> str:
    """Kill the server."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def with_key(app):
    async def checked(scope, receive, send):
        key = os.environ.get("MCP_KEY")
        if scope["type"] == "http" and key and (b"authorization", f"Bearer {key}".encode()) not in scope["headers"]:
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"no"})
            return
        await app(scope, receive, send)

    return checked


def main() -> None:
    note("start")
    if sys.argv[1] == "stdio":
        server.run("stdio")
        while is_deaf:
            signal.pause()
        return
    import uvicorn

    app = with_key(server.streamable_http_app())
    listener = socket.socket(fileno=int(sys.argv[2]))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
