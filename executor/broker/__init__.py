"""One way to Redis: tickets on RQ's queues, and notifications."""
