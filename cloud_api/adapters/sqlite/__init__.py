"""HQ's database on SQLite: one file, one writing connection, and one that reads."""
