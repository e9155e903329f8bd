"""The pure core of Beckon: every business rule as functions on values.

Nothing here reads a clock, draws randomness, logs or touches the outside; programs hand those in as values.
"""
