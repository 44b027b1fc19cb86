"""The engine for a database that one process owns: state in memory, one log row an operation, folds."""
