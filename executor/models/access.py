"""Tokens, the audit log, and stored responses for idempotency keys."""

from django.db import models

from .fields import JSONText


class ApiToken(models.Model):
    """A bearer token of an agent. Only its digest is stored: the token itself is shown once."""

    name = models.CharField(max_length=100, unique=True)
    prefix = models.CharField(max_length=16, unique=True, help_text="The public part, by which it is looked up.")
    digest = models.CharField(max_length=64, editable=False)
    scopes = JSONText(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self):
        return self.name


class AuditEntry(models.Model):
    """An entry of the audit log, written in the transaction of the action."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=100)
    action = models.CharField(max_length=50)
    batch_id = models.UUIDField(null=True, blank=True)
    detail = JSONText(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"

    def __str__(self):
        return f"{self.actor} {self.action}"


class IdempotentCall(models.Model):
    """The stored response to a call with an Idempotency-Key, returned again for the same call."""

    owner = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the action and its arguments.")
    answer = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotent_key")]

    def __str__(self):
        return self.key
