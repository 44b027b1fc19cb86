"""Pure values, rules and state machines: no I/O, no clock, no randomness."""
