"""Rounds that kill a writing process and look at what it left: shared by the tests of faults and the benchmark."""
