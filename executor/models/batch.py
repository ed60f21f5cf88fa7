"""A batch, its counters, and its log."""

from django.db import models

from executor.domain.states import BatchState

from .fields import JSONText, new_id


class Batch(models.Model):
    """Tasks that are started, stopped and watched together."""

    batch_id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200, blank=True)
    owner = models.CharField(max_length=100, db_index=True, help_text="Creator: user:<id>, token:<id> or cli.")
    is_default = models.BooleanField(default=False, help_text="Used when its owner names no batch.")
    state = models.CharField(max_length=10, choices=BatchState, default=BatchState.OPEN)
    stop_forced = models.BooleanField(default=False, help_text="While stopping: running tasks are killed and released.")
    max_concurrent = models.PositiveIntegerField(default=5)
    metadata = JSONText(default=dict, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(condition=models.Q(max_concurrent__gte=1), name="batch_max_concurrent_positive"),
            models.UniqueConstraint(fields=["owner"], condition=models.Q(is_default=True), name="batch_one_default"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-batch_id"], name="batch_newest"),
            models.Index(
                fields=["batch_id"], condition=models.Q(state__in=["running", "stopping"]), name="batch_active"
            ),
        ]

    def __str__(self):
        return self.name or str(self.batch_id)


class BatchStats(models.Model):
    """The counters of a batch, updated in the transactions that change tasks, so that reads never count rows.

    Batch row and this row are the batch's lock: every change to a task of the batch holds it, which orders the frames.
    """

    batch = models.OneToOneField(Batch, models.CASCADE, primary_key=True, related_name="stats")
    total_tasks = models.PositiveIntegerField(default=0)
    queued = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    queued_critical = models.PositiveIntegerField(default=0)
    queued_high = models.PositiveIntegerField(default=0)
    queued_medium = models.PositiveIntegerField(default=0)
    queued_low = models.PositiveIntegerField(default=0)
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    total_execution_time = models.FloatField(default=0.0, help_text="Seconds, of the completed and failed tasks.")
    started = models.PositiveIntegerField(default=0, help_text="Tasks that were started at least once.")
    total_wait_time = models.FloatField(default=0.0, help_text="Seconds from creation to the first start.")
    retries = models.PositiveIntegerField(default=0)
    last_number = models.PositiveIntegerField(default=0, help_text="The number of the task added last.")
    seq = models.PositiveIntegerField(default=0, help_text="The number of the last frame.")
    changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "batch stats"

    def __str__(self):
        return f"{self.completed}/{self.total_tasks}"


class BatchFrame(models.Model):
    """The changes of one commit in a batch. Frames are numbered 1, 2, 3 … without gaps.

    `changes` is JSON text: [[number, status letter, attempt, worker, started_ms, duration_ms, retry_in_ms,
    error_head, progress], …], the last one only where a running task has reported progress; `counts` is JSON text: the
    tasks in each status after the commit. Both are sent unchanged.
    """

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="frames", db_index=False)
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    changes = models.TextField()
    counts = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "seq"], name="frame_number")]

    def __str__(self):
        return f"{self.batch_id}#{self.seq}"
