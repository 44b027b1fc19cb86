"""The typed hook specifications: one module a lifecycle. The docstring of a hook is its contract."""
