"""One issued promise: its code, its life, and the one decision whether a till may redeem it."""
