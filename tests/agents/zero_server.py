"""A server with the documented behaviour of Agent Zero's external API.

A request stays open for the whole run of the agent, only its response has the id of the chat, and a chat can be read
and ended. The message selects the behaviour: "sleep 5", "lose" (the connection breaks), "fail" (500), "gone" (502),
"busy" (429 the first time), "garbage" (an invalid answer).
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Chat:
    id: str
    about: dict
    log: list[dict] = field(default_factory=list)
    messages: list[dict] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class ZeroServer:
    """The server: `received` has all messages in order, `chats` all chats ever opened."""

    def __init__(self, key: str, prefix: str = "/api"):
        self.key, self.prefix = key, prefix
        self.chats: dict[str, Chat] = {}
        self.received: list[str] = []
        self.terminated: list[str] = []
        self.busy = 1
        self.forget_to_end = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                handler = self.path.removeprefix(server.prefix)
                if not self.path.startswith(server.prefix + "/") or handler.count("/") != 1:
                    return self.answer(404, "Not Found")
                if self.headers.get("X-API-KEY") != server.key:
                    return self.answer(401, "Invalid API key")
                return getattr(server, handler[1:])(body, self)

            def answer(self, status: int, content, **headers: str) -> None:
                is_text = isinstance(content, str)
                data = (content if is_text else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if is_text else "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        for chat in self.chats.values():
            chat.ended.set()
        self._http.shutdown()
        self._http.server_close()

    def api_message(self, body: dict, to) -> None:
        text = body.get("message")
        if not text:
            return to.answer(400, {"error": "Message is required"})
        self.received.append(text)
        if body.get("context_id"):
            chat = self.chats.get(body["context_id"])
            if chat is None or chat.ended.is_set():
                return to.answer(404, {"error": "Context not found"})
            if body.get("agent_profile") and body["agent_profile"] != chat.about.get("agent_profile"):
                return to.answer(400, {"error": "Cannot override agent profile on existing context"})
        else:
            about = {name: body[name] for name in ("project_name", "agent_profile", "lifetime_hours") if name in body}
            chat = Chat(secrets.token_hex(4), about)
            self.chats[chat.id] = chat
        chat.messages.append(body)
        chat.log.append({"type": "user", "heading": "", "content": text})
        verb, _, rest = text.partition(" ")
        match verb:
            case "sleep":
                chat.log.append({"type": "tool", "heading": "Using tool 'wait'", "content": rest})
                if chat.ended.wait(float(rest)):
                    return to.answer(500, {"error": "the task was killed"})
            case "lose":
                to.close_connection = True
                return to.connection.close()
            case "fail":
                return to.answer(500, {"error": f"no model answers with {self.key}"})
            case "gone":
                return to.answer(502, "Bad Gateway")
            case "garbage":
                return to.answer(200, "<html>hello</html>")
            case "busy" if self.busy:
                self.busy -= 1
                return to.answer(429, {"error": "too many"}, Retry_After="0")
        return to.answer(200, {"context_id": chat.id, "response": f"done: {text}"})

    def api_log_get(self, body: dict, to) -> None:
        chat = self.chats.get(body.get("context_id", ""))
        if chat is None:
            return to.answer(404, {"error": "Context not found"})
        start = max(0, len(chat.log) - body.get("length", 100))
        items = chat.log[start:]
        log = {"total_items": len(chat.log), "start_position": start, "items": items, "progress": "waiting"}
        return to.answer(200, {"context_id": chat.id, "log": {**log, "progress_active": True}})

    def api_terminate_chat(self, body: dict, to) -> None:
        chat = self.chats.get(body.get("context_id", ""))
        if chat is None or self.forget_to_end:
            return to.answer(500 if chat else 404, {"error": "Chat context not found"})
        chat.ended.set()
        self.terminated.append(chat.id)
        return to.answer(200, {"success": True, "message": "Chat deleted successfully", "context_id": chat.id})
