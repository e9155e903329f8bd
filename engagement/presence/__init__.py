"""Who is here: sightings to enter, dwell, leave and zone of each provisioned beacon, and what upkeep it needs."""
