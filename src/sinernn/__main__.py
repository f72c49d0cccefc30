"""Entry point of the command line, also as `python -m sinernn`; it imports nothing at first."""

import atexit
import gc
import sys

COLLECT_AFTER = 100_000
"""New objects after which Python looks for garbage among them. With its usual 700, and once more at
the end, that is a fifth of the time of `sinernn eval`, for objects that imports create for good."""


def entry_point() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, also while modules are imported."""
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)
    try:
        from sinernn import cli

        cli.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    entry_point()
