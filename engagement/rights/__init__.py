"""Rights: the units and the money that HQ lets an agent give out, held in leases, moved by requests that may be repeated."""
