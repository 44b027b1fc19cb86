"""Benchmarks: each prints a table, beside an alternative measured in the same run. None is a test."""
