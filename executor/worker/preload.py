"""Imported once by the server process that the children are forked from: they start with Django loaded."""

import signal

import django

# A SIGTERM for the worker's whole group must not take the children away under running tasks.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
django.setup()
