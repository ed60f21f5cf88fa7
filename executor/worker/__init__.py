"""The worker: takes tickets, claims tasks, runs their attempts, records the outcomes."""
