"""What commands keep from one run to the next: where it is, how much it is, and its end."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from probe._cache import MOST_BYTES, cache_folder, kept_files
from probe._checks import check_choice
from probe.safeh5 import printable
from probe.workflow._written import Written

__all__ = ["cache"]


def cache(action: Literal["show", "clear"] = "show") -> Written:
    """Say where commands keep what they computed from data alone, and how much is there; or remove it.

    Parameters
    ----------
    action : {"show", "clear"}
        "clear" removes what commands kept, and nothing else that is in the folder.

    Raises
    ------
    InputError
        If it is none of these.
    """
    check_choice("action", action, ("show", "clear"))
    folder = cache_folder()
    if folder is None:
        return Written((), "nothing is kept: the cache is off (PROBE_CACHE=off), or there is no home folder")
    files = kept_files(folder)
    held = _counted(len(files), sum(status.st_size for _, status in files))
    where = printable(folder, 300)
    if action == "show":
        return Written(
            (),
            f"{where}: {held}; at most {MOST_BYTES >> 20} MiB, those used longest ago go first. "
            "PROBE_CACHE names another folder, or is off",
        )
    n_removed, size = 0, 0
    for path, status in files:
        with suppress(OSError):
            path.unlink()
            n_removed, size = n_removed + 1, size + status.st_size
    with suppress(OSError):  # a folder that holds something else stays
        folder.rmdir()
    return Written((), f"{where}: removed {_counted(n_removed, size)}")


def _counted(n: int, n_bytes: int) -> str:
    return f"{n:,} file{'s' * (n != 1)}, {n_bytes / (1 << 20):.1f} MiB"
