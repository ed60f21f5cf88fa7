"""Extensions of actions for the terminal, by subject; discovered by executor.cli.verbs."""
