"""Many seeded runs of the simulation, for a report rather than for a test."""
