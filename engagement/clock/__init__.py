"""Time as an interval, and an order of events that no clock jump can turn around."""
