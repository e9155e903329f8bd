"""One file per job; each works over the ports alone."""
