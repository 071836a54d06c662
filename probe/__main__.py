"""`python -m probe` and the command `probe`: errors of the caller in one line, without a traceback."""

from __future__ import annotations

import sys
from contextlib import suppress

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit: 0 if all is done, 2 for bad input, 130 after Ctrl-C."""
    from probe.cli import run
    from probe.cli._screen import others_silenced, shown_anywhere

    _give_back_memory()
    shown_anywhere()
    with others_silenced():
        status = run(sys.argv[1:])
    sys.exit(status)


def _give_back_memory() -> None:
    """Let glibc give the memory of large arrays back when they are freed: it would keep up to 64 MB of each thread.

    A report takes a sixth less so. `probe._processes` sets the same for its processes.
    """
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # another C library
        set_option = ctypes.CDLL(None).mallopt
        for option, n_bytes in ((-1, 1_000_000), (-3, 4_000_000)):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            set_option(option, n_bytes)


if __name__ == "__main__":
    main()
