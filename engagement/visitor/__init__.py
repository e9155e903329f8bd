"""Who a shopper is to us: a pseudonym, what they consented to, and the wallet that is theirs."""
