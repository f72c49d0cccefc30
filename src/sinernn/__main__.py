"""`python -m sinernn` is the command line."""

from sinernn.cli import main

main()
