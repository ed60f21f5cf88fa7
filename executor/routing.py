"""The sockets."""

from django.urls import path

from executor.consumers import BatchConsumer, BatchListConsumer

websocket_urlpatterns = [
    path("ws/batches", BatchListConsumer.as_asgi()),
    path("ws/batches/<uuid:batch_id>", BatchConsumer.as_asgi()),
]
