"""The files beside the database: one owner of their paths."""
