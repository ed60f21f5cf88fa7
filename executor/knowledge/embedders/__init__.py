"""Who makes vectors; `executor.knowledge.embedder` chooses."""
