"""The only writer of task and batch status."""
