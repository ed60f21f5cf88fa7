"""What the terminal adds to actions, by subject; discovered by executor.cli.verbs."""
