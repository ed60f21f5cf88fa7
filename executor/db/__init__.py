"""One way to the database besides the ORM."""
