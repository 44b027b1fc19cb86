"""The engine where many processes share a database: rows are locked, and changes go straight to the tables."""
