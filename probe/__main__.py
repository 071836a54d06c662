"""`python -m probe` and the command `probe`: errors of the caller in one line, without a traceback."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit: 0 if all is done, 2 for bad input, 130 after Ctrl-C."""
    from probe.cli import run
    from probe.cli._screen import others_silenced, shown_anywhere

    shown_anywhere()
    with others_silenced():
        status = run(sys.argv[1:])
    sys.exit(status)


if __name__ == "__main__":
    main()
