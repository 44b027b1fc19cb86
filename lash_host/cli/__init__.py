"""The command ``lash``: click commands over a host, each in a module of its own that is imported when it is run."""
