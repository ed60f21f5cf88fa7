"""A Django app like those that users write: its task functions behave in every way that a function can."""
