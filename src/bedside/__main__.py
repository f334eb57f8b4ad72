"""The command, and ``python -m bedside`` for where it is not on the path."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C counts from the first import on, which takes a while."""
    try:
        from bedside.cli.app import main as command

        command()
    except KeyboardInterrupt:
        print("bedside: stopped; run the same command again to continue where it was.",
              file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
