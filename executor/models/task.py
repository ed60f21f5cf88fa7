"""A task, and the attempts at it that did not complete."""

from django.db import models

from executor.domain.states import Priority, TaskStatus

from .batch import Batch
from .fields import JSONText, new_id


class BatchTask(models.Model):
    """One call of a task function with its parameters. `attempt` counts claims and is the fencing token."""

    task_id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="tasks", db_index=False)
    number = models.PositiveIntegerField(help_text="1, 2, 3 … within its batch.")
    custom_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - unique where it is given
    name = models.CharField(max_length=200, blank=True)
    function = models.CharField(max_length=200)
    params = JSONText(default=dict)
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.MEDIUM)
    status = models.CharField(max_length=10, choices=TaskStatus, default=TaskStatus.QUEUED)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    execution_time = models.FloatField(null=True, blank=True, help_text="Seconds of the last attempt.")
    result = JSONText(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    error_kind = models.CharField(max_length=50, blank=True, default="")
    retry_count = models.PositiveIntegerField(default=0)
    max_retries = models.PositiveIntegerField(default=3)
    retry_delay = models.FloatField(default=1.0, help_text="Seconds before the first retry; 0: at once.")
    timeout = models.FloatField(null=True, blank=True, help_text="Seconds an attempt may take.")
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True, default="")
    run_after = models.DateTimeField(null=True, blank=True, help_text="Waits until then.")
    dispatched_at = models.DateTimeField(null=True, blank=True, help_text="When its ticket was issued.")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    progress = JSONText(null=True, blank=True, help_text="[done, total, text] as reported by the running task.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="task_number"),
            models.UniqueConstraint(
                fields=["batch", "custom_id"], condition=models.Q(custom_id__isnull=False), name="task_custom_id"
            ),
            models.CheckConstraint(condition=models.Q(status__in=TaskStatus.values), name="task_status_known"),
        ]
        indexes = [
            # The order of dispatch.
            models.Index(
                fields=["batch", "-priority", "number"],
                condition=models.Q(status="queued", dispatched_at=None, run_after=None),
                name="task_next",
            ),
            # Tasks with an issued ticket.
            models.Index(
                fields=["batch", "priority", "dispatched_at"],
                condition=models.Q(status="queued", dispatched_at__isnull=False),
                name="task_ticket",
            ),
            # Tasks that wait for their start or retry time.
            models.Index(
                fields=["run_after"], condition=models.Q(status="queued", run_after__isnull=False), name="task_due"
            ),
            # The running tasks of a worker.
            models.Index(fields=["worker"], condition=models.Q(status="running"), name="task_running"),
            # Filtered lists.
            models.Index(fields=["batch", "status", "number"], name="task_by_status"),
            models.Index(
                fields=["batch", "priority", "number"],
                condition=~models.Q(
                    priority=Priority.MEDIUM
                ),  # most tasks are medium: an index would not speed up that filter
                name="task_by_priority",
            ),
            models.Index(fields=["batch", "function", "number"], name="task_by_function"),
        ]

    def __str__(self):
        return f"#{self.number} {self.name or self.function}"


class TaskAttempt(models.Model):
    """An attempt that did not complete, and why."""

    task = models.ForeignKey(BatchTask, models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveIntegerField(help_text="Which claim of the task it was.")
    outcome = models.CharField(max_length=20, help_text="failed, released or cancelled.")
    error_kind = models.CharField(max_length=50, blank=True)
    error = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    output = JSONText(null=True, blank=True)
    worker = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "number"], name="attempt_number")]

    def __str__(self):
        return f"attempt {self.number}: {self.outcome}"
