"""`python -m edgeeff`, and the script `edgeeff`."""

import sys


def main() -> None:
    """Starts the command line, also while Ctrl-C is pressed."""
    try:
        from edgeeff.cli import main as run

        run()
    except KeyboardInterrupt:  # before the command line was ready for it
        sys.exit(130)


if __name__ == "__main__":
    main()
