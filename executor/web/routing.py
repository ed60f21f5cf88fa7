"""The addresses of WebSockets."""

from django.urls import path, re_path

from .consumers import BatchConsumer, BatchListConsumer, UnknownPathConsumer

websocket_urlpatterns = [
    path("ws/batches", BatchListConsumer.as_asgi()),
    path("ws/batches/<str:batch_id>", BatchConsumer.as_asgi()),
    re_path("", UnknownPathConsumer.as_asgi()),  # URLRouter raises for an unknown path, which would be a server error
]
