"""An index of the reports in a folder. What they say may come from strangers: it is bounded, checked and escaped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from probe._checks import InputError
from probe._version import __version__
from probe.catalogue import ANALYSES
from probe.pages.gallery import GENERATOR, Entry, gallery_page, thumbnail
from probe.safeh5 import printable
from probe.stats import Decision
from probe.storage import OwnedFolder
from probe.workflow._owner import RESULTS
from probe.workflow._written import PAGE, Written

__all__ = ["REPORTS", "gallery", "index_above", "refresh"]

REPORTS = Path("reports")
"""Where commands write by default, in the working directory."""

_MOST_BYTES, _MOST_PICTURE, _MOST_HEAD = 1 << 24, 1 << 23, 1 << 27
"""Bytes that are read of a results.json, of a picture, and of the page that may be written anew."""

_DEPTH, _MOST_FOLDERS = 3, 5000
"""How deep reports are looked for, and in how many folders."""

_LETTERS, _CLAIMS = 300, 500
"""Letters of a text and claims of a report, at most."""

_TITLES = {"probe report": "What did the hidden layers learn?"} | {
    f"probe {entry.command.name}": entry.command.title for entry in ANALYSES if entry.command is not None
}

_FIRST = ("weights_1", "weights", "structure", "comparison_units_1")
"""Pictures that stand for a report, if it has them; else its first."""


def gallery(folder: Path) -> Written:
    """Write index.html in a folder of reports: a small picture of each, and its verdicts.

    Folders inside it count, down to three deep, and no links are followed. What holds no report is left out and counted.

    Parameters
    ----------
    folder : Path
        The folder with the reports, such as reports.

    Raises
    ------
    InputError
        If it is no folder, cannot be written to, or has an index.html that was not written by this command.
    """
    if not folder.is_dir():
        raise InputError(f"DIR must be a folder with reports, and {printable(folder, 300)} is none")
    owned = OwnedFolder(folder)
    owned.check(PAGE, "file")
    if owned.kind(PAGE) is not None and not _is_ours(owned):
        what = "a report itself" if owned.kind(RESULTS) else f"a page of something else, {PAGE}"
        raise InputError(
            f"{printable(folder, 300)} holds {what}, which would be written over. Pass the folder above it"
        )
    page, found = _made(owned)
    return Written((owned.write(PAGE, page),), found)


def index_above(folder: Path) -> Path | None:
    """Return the nearest folder above `folder` with an index of reports, or which will have one: the default one has.

    None if there is none, or something else is in its place.
    """
    for above in folder.resolve().parents[:_DEPTH]:
        owned = OwnedFolder(above)
        kind = owned.kind(PAGE)
        if (kind == "file" and _is_ours(owned)) or (kind is None and above == REPORTS.resolve()):
            return above
    return None


def refresh(folder: Path) -> None:
    """Write the index that a folder of results is in anew, if there is one.

    Several commands may do so at once: whoever writes last has seen what all others wrote.
    """
    above = index_above(folder)
    if above is None:
        return
    owned = OwnedFolder(above)
    # No index is worth the results: what cannot be written is left as it is.
    with suppress(InputError):
        page = b""
        while page != (page := _made(owned)[0]):
            owned.write(PAGE, page)


def _made(owned: OwnedFolder) -> tuple[bytes, str]:
    """Return the index of the reports in a folder, and what was found."""
    entries, n_left_out = list[Entry](), 0
    for name, inside, has_reports in _folders(owned):
        entry = _entry(name, inside)
        if entry is not None:
            entries.append(entry)
        elif not has_reports:
            n_left_out += 1
    entries.sort(key=lambda entry: (entry.name.casefold(), entry.name))
    title = f"Reports in {owned.path.resolve().name or owned.path}"
    page = gallery_page(title, entries, n_left_out, f"Made by probe {__version__}: probe gallery.")
    folders = (
        "1 folder without a report is" if n_left_out == 1 else f"{n_left_out} folders without a report are"
    )
    found = "1 report" if len(entries) == 1 else f"{len(entries)} reports"
    said = f"{found}; {folders} left out" if n_left_out else found
    return page.encode(errors="backslashreplace"), said


def _is_ours(folder: OwnedFolder) -> bool:
    try:
        head = folder.read(PAGE, _MOST_HEAD)[:2000]
    except OSError:
        return False
    return f'name="generator" content="{GENERATOR}"'.encode() in head


def _folders(top: OwnedFolder) -> Iterator[tuple[str, OwnedFolder, bool]]:
    """Give every folder inside `top` that is not part of a report: its name, itself, and whether others are inside it."""
    waiting, n_seen = [("", top)], 0
    while waiting:
        above, folder = waiting.pop()
        for name in folder.folders():
            way = f"{above}/{name}" if above else name
            n_seen += 1
            if n_seen > _MOST_FOLDERS:
                raise InputError(
                    f"DIR must hold at most {_MOST_FOLDERS:,} folders; pass one with reports only"
                )
            if name.startswith(".") or (name in ("figures", "trials") and folder.kind(RESULTS) is not None):
                continue
            inside = folder.inside(name)
            deeper = way.count("/") + 1 < _DEPTH and bool(inside.folders())
            yield way, inside, deeper and inside.kind(RESULTS) is None
            if deeper:
                waiting.append((way, inside))


def _entry(name: str, folder: OwnedFolder) -> Entry | None:
    """Return what a report says; None where there is none that can be read."""
    if folder.kind(RESULTS) != "file" or folder.kind(PAGE) != "file":
        return None
    try:
        results = json.loads(folder.read(RESULTS, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    command = _text(results.get("command")) if isinstance(results, dict) else ""
    if not command.startswith("probe "):
        return None
    decisions, statements, primary = _claims(results)
    return Entry(
        name=name,
        link="/".join(quote(os.fsencode(part)) for part in name.split("/")) + f"/{PAGE}",
        title=_text(results.get("title")) or _TITLES.get(command, command),
        about=" and ".join(filter(None, (_text(results.get(name)) for name in ("model", "other")))),
        data=_text(_mapping(results.get("data")).get("name")),
        created=_text(results.get("created")),
        test_accuracy=_share(_mapping(_mapping(results.get("results")).get("network")).get("test_accuracy")),
        decisions=decisions,
        statements=statements,
        primary=primary,
        picture=_picture(folder),
    )


def _claims(
    results: Mapping[str, Any],
) -> tuple[dict[str, tuple[Decision, ...]], dict[str, str], tuple[str, ...]]:
    """Return decisions and statements of the claims of a report by their keys, and the keys of the primary ones."""
    listed = results.get("claims")
    decisions, statements, primary = dict[str, tuple[Decision, ...]](), dict[str, str](), dict[str, None]()
    for claim in listed[:_CLAIMS] if isinstance(listed, list) else ():
        claim = _mapping(claim)
        statement, decision = _text(claim.get("statement")), claim.get("decision")
        key = _text(claim.get("verdict")) or statement
        if not key or not isinstance(decision, str) or decision not in get_args(Decision):
            continue
        decisions[key] = (*decisions.get(key, ()), decision)  # type: ignore[arg-type]
        statements.setdefault(key, statement or key)
        if _text(claim.get("said")):
            primary[key] = None
    return decisions, statements, tuple(primary)


def _picture(folder: OwnedFolder) -> bytes:
    """Return a small picture of a report; empty if it has none that can be read."""
    if folder.kind("figures") != "folder":
        return b""
    names = [name for name in folder.inside("figures").files() if name.endswith(".png")]
    first = [f"{name}.png" for name in _FIRST if f"{name}.png" in names]
    for name in [*first, *names][:3]:
        try:
            small = thumbnail(folder.read(f"figures/{name}", _MOST_PICTURE))
        except OSError:
            continue
        if small:
            return small
    return b""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a text, cut to a bounded length; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= _LETTERS else value[: _LETTERS - 1] + "…"


def _share(value: object) -> float | None:
    """Return a share of 1; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
