"""What a decision reads and writes: records under keys, and the ruling that a rule returns."""
