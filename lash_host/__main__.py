"""The entry point of the command line: ``lash``, and ``python -m lash_host``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit status."""
    try:
        from lash_host.cli.main import run_cli

        status = run_cli(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
