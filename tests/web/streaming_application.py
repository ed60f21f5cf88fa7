"""ASGI application that streams a large response and logs the bytes accepted; a test runs it in Daphne."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
django.setup()

from executor.web import daphne_limits  # noqa: E402

CHUNK = b"x" * 100_000
CHUNKS = 600


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/healthz":
        return await send({"type": "http.response.body"})
    for number in range(1, CHUNKS + 1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": number < CHUNKS})
        print(f"sent {number}", flush=True)
    print("finished", flush=True)


daphne_limits.install()
application = daphne_limits.Backpressure(stream)
