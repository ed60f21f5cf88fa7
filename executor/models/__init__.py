"""The models: fields, constraints and indexes. `executor.queue.batch_queue` owns all changes of status."""

from .access import ApiToken, AuditEntry, IdempotentCall
from .batch import Batch, BatchFrame, BatchStats
from .knowledge import Chunk, Document, KnowledgeIndex, Memory
from .task import BatchTask, TaskAttempt
from .worker import WorkerNode

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Batch",
    "BatchFrame",
    "BatchStats",
    "BatchTask",
    "Chunk",
    "Document",
    "IdempotentCall",
    "KnowledgeIndex",
    "Memory",
    "TaskAttempt",
    "WorkerNode",
]
