"""Async: hosts, open sessions, and the turns they run. Knows stores by contract only."""
