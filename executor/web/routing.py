"""The sockets."""

from django.urls import path, re_path

from .consumers import BatchConsumer, BatchListConsumer, NowhereConsumer

websocket_urlpatterns = [
    path("ws/batches", BatchListConsumer.as_asgi()),
    path("ws/batches/<str:batch_id>", BatchConsumer.as_asgi()),
    re_path("", NowhereConsumer.as_asgi()),  # otherwise a wrong address would be a server error
]
