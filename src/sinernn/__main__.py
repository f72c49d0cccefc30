"""Entry point of the command line, also as `python -m sinernn`; it imports nothing at first."""

import sys


def entry_point() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, also while modules are imported."""
    try:
        from sinernn import cli

        cli.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    entry_point()
