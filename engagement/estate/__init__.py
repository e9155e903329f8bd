"""What hangs and stands where: branches, zones, beacons, agents, tills, and the bundle that one agent works from."""
