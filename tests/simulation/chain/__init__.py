"""A chain of stores and its HQ: the real services of both, bytes in between, one seed."""
