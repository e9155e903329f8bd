"""HQ's one listener: agents by their signatures, people by their sessions."""
