"""HQ's frame for an offer: who may get it, what it is worth, how many there are, until when."""
