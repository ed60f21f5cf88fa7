"""A worker process."""

from django.db import models

from .fields import JSONText


class WorkerNode(models.Model):
    """The record of a worker process. Rescue relies on this row alone: Redis may be flushed."""

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        DRAINING = "draining", "draining"  # claims no more tasks and finishes its own
        STOPPED = "stopped", "stopped"  # ended by a regular shutdown
        DEAD = "dead", "dead"  # no heartbeat within the limit: its tasks were rescued

    ALIVE = (State.ACTIVE, State.DRAINING)

    name = models.CharField(max_length=100, primary_key=True)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    concurrency = models.PositiveIntegerField()
    running = models.PositiveIntegerField(default=0)
    queues = models.CharField(max_length=200, blank=True)
    cpu_percent = models.FloatField(default=0.0)
    memory_bytes = models.PositiveBigIntegerField(default=0)
    info = JSONText(default=dict, blank=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["heartbeat_at"], condition=models.Q(state__in=["active", "draining"]), name="worker_alive"
            )
        ]

    def __str__(self):
        return self.name
