"""HQ: takes what the stores send, exactly once, and tells what it comes to."""
