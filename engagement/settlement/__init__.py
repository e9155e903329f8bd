"""What the stores did, added up: the funnel of each campaign and day."""
