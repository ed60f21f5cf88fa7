"""The example of `docs/task-functions.md`: a Django app whose task functions Batch Executor finds."""
