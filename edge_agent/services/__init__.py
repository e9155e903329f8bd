"""The agent's jobs, one file each, over the ports."""
