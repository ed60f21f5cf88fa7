"""A Django app like those of users, with task functions for every behaviour that tests need."""
