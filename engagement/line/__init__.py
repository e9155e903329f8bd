"""What an agent and HQ say to each other: signed requests, claim codes, addresses and answers."""
