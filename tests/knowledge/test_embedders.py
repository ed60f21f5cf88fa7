"""Embedders: the static model, and a server."""

import json
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from executor.domain.errors import Unavailable
from executor.knowledge import embedder as module
from executor.knowledge.arrays import pack_vector, unpack_vectors
from executor.knowledge.embedder import embedder

# --- wordllama ------------------------------------------------------------------------------------------------------


def test_static_model_is_loaded_once_and_needs_no_network(monkeypatch):
    import socket

    def refused(*_):
        raise AssertionError("a network request was made")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(module, "_loaded", None)
    model = embedder()
    assert embedder() is model
    vectors = model.embed(["What is the capital of France?", "Paris is the capital of France.", "Iron rusts."])
    assert vectors.shape == (3, 256) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]


def test_vector_does_not_depend_on_the_batch():
    model = embedder()
    texts = [f"Text number {number} {'with more words ' * (number % 9)}" for number in range(600)]
    together = model.embed(texts)
    assert np.allclose(together[577], model.embed([texts[577]])[0], atol=1e-6)


def test_text_without_words_has_a_zero_vector():
    vectors = embedder().embed(["", " "])
    assert np.isfinite(vectors).all()
    assert embedder().embed([]).shape[0] == 0


def test_half_precision_changes_cosines_by_less_than_a_thousandth():
    vectors = embedder().embed(["The elephant drinks water.", "A giraffe eats leaves."])
    kept = unpack_vectors([pack_vector(vector) for vector in vectors])
    assert np.abs(kept @ vectors.T - vectors @ vectors.T).max() < 0.001


# --- a server -------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Answers as OpenAI's /embeddings does; `answers` are statuses to give before that."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict] = []
        self.answers: list[int] = []
        self.body = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({**request, "path": self.path, "key": self.headers.get("Authorization")})
        status = self.server.answers.pop(0) if self.server.answers else 200
        rows = [{"index": at, "embedding": [float(len(text)), 1.0]} for at, text in enumerate(request["input"])]
        body = self.server.body or json.dumps({"data": rows[::-1]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(settings):
    running = Server()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    settings.BATCH_EMBEDDER, settings.BATCH_EMBEDDER_MODEL = running.url, "small"
    settings.BATCH_EMBEDDER_KEY = "a key"
    yield running
    running.shutdown()
    running.server_close()


def test_server_requests_are_batched_and_answers_are_ordered(server):
    vectors = embedder().embed(["x" * number for number in range(1, 101)])
    assert vectors.shape == (100, 2)
    ratio = vectors[:, 0] / vectors[:, 1]
    assert ratio == pytest.approx(np.arange(1, 101), rel=1e-4)
    assert [len(request["input"]) for request in server.requests] == [64, 36]
    assert server.requests[0]["path"] == "/v1/embeddings"
    assert (server.requests[0]["model"], server.requests[0]["key"]) == ("small", "Bearer a key")
    assert embedder().name == "openai:small"


def test_busy_server_is_retried(server):
    server.answers = [429, 503]
    assert embedder().embed(["x"]).shape == (1, 2)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("answers", "attempts"), [([500] * 9, 3), ([401], 1)])
def test_refusal_of_the_server_is_reported(server, answers, attempts):
    server.answers = answers
    with pytest.raises(Unavailable, match="answered"):
        embedder().embed(["x"])
    assert len(server.requests) == attempts


@pytest.mark.parametrize("body", [b"no json", b"{}", b'{"data": []}', b'{"data": [{"index": 0}]}', b"[1]"])
def test_invalid_answer_of_the_server_is_reported(server, body):
    server.body = body
    with pytest.raises(Unavailable, match="invalid answer"):
        embedder().embed(["x"])


def test_unreachable_server_is_reported(settings):
    settings.BATCH_EMBEDDER, settings.BATCH_EMBEDDER_MODEL = "http://127.0.0.1:9", "small"
    with pytest.raises(Unavailable, match="cannot be reached"):
        embedder().embed(["x"])


def test_knowledge_base_works_with_a_server(server, add):
    from executor.knowledge.search import search

    add("a.txt", "The elephant drinks water.")
    [hit] = search("elephant").hits
    assert hit.matched == ["lexical", "semantic"]


# --- settings -------------------------------------------------------------------------------------------------------


def test_sentence_transformers_is_used_if_installed(settings, monkeypatch):
    class Model:
        def __init__(self, name):
            self.name = name

        def encode(self, texts, show_progress_bar):
            return [[3.0, 4.0] for _ in texts]

    library = types.ModuleType("sentence_transformers")
    library.SentenceTransformer = Model
    library.__spec__ = types.SimpleNamespace()
    settings.BATCH_EMBEDDER = "sentence-transformers:some-model"
    with pytest.raises(Unavailable, match="not installed"):
        embedder()
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    assert embedder().embed(["x"]).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    assert embedder().name == "sentence-transformers:some-model"


@pytest.mark.parametrize("kind", ["nonsense", "ftp://x", "https://example.invalid/v1"])
def test_unknown_embedder_is_reported(settings, kind):
    settings.BATCH_EMBEDDER, settings.BATCH_EMBEDDER_MODEL = kind, ""
    with pytest.raises(Unavailable):
        embedder()
