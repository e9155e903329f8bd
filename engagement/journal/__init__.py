"""What happened, in the order it was decided: events, their lanes and the hash chain over them."""
