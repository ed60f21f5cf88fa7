"""Embedders, selected by `executor.knowledge.embedder`."""
