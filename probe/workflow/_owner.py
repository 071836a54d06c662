"""Whose results a folder holds: those of one command on one network, which nothing replaces without being told to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from probe._checks import InputError, check_folder
from probe.datasets import Split
from probe.network import Network
from probe.safeh5 import printable
from probe.storage import OwnedFolder

__all__ = ["MODEL_FILE", "OTHER_FILE", "RESULTS", "Owner", "check_out", "claimed", "free_name", "path_from"]

RESULTS, MODEL_FILE, OTHER_FILE = "results.json", "model_file", "other_file"

_STUDY = "sweep.json"

_MOST = 1 << 28
"""Most bytes of a results.json that is read."""

_ENDING = re.compile(
    r"\.(h5|hdf5|hdf|he5|keras|jsonl?|html?|png|gif|jpe?g|svg|pdf|np[yz]|txt|csv|md|zip|gz|tar|pth?|pkl|onnx)"
)
"""How files are called and folders are not."""

_ADVICE = "Pass another --out, or remove what is there"

_OVERWRITE = "Pass another --out, or --overwrite to replace them"

_LETTERS = 8
"""Of a fingerprint, in names and in errors."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What the results in a folder are of.

    Attributes
    ----------
    command : str
        Such as "probe noise".
    seed : int
    split : Split or None
        The data, for a command that takes some.
    model : Path or None
        The model file, for a command that takes one.
    other : Path or None
        The second one, for a command that takes two.
    fingerprints : tuple of str
        `Network.fingerprint` of each network that the results are about; empty where there is none, or not yet.
    settings : mapping
        What else makes the results: entries of results.json that may differ, for a message to say how.
    is_study : bool
        Whether the command is a sweep, which goes on in a folder of its own and compares its settings itself.
    """

    command: str
    seed: int
    split: Split | None = None
    model: Path | None = None
    other: Path | None = None
    fingerprints: tuple[str, ...] = ()
    settings: Mapping[str, object] | None = None
    is_study: bool = False

    def about(self, *networks: Network) -> Owner:
        """Return the owner of what is found of these networks."""
        return replace(self, fingerprints=tuple(network.fingerprint for network in networks))


def check_out(out: Path) -> Path:
    """Return `out`, or raise if it does not name a folder. Creates nothing."""
    with suppress(OSError):
        if out.is_file():
            raise InputError(
                f"--out must name a folder, got the file {printable(out, 300)}. Pass another name"
            )
    check_folder("--out", out)
    if not out.is_dir() and _ENDING.fullmatch(out.suffix.lower()):
        raise InputError(
            f"--out must name a folder, which holds the files that are written, got {printable(out, 300)}, the name of "
            f"a file. Pass a name without {out.suffix}, such as --out {printable(out.with_suffix(''), 300)}"
        )
    return out


def free_name(out: Path, owner: Owner) -> Path:
    """Return the default folder `out`, or where it holds what the same command found of another network, one beside it."""
    results = _results(OwnedFolder(out)) or {}
    known = results.get("fingerprints")
    other = results.get("command") == owner.command and known != list(owner.fingerprints)
    if not (other and known and owner.fingerprints):
        return out
    return out.with_name("-".join([out.name, *(each[:_LETTERS] for each in owner.fingerprints)]))


def claimed(
    folder: OwnedFolder, owner: Owner, files: Sequence[str], *, overwrite: bool = False
) -> tuple[str, ...] | None:
    """Return the files of before that `owner` may replace in `folder`, or None if it was not there yet.

    Raises
    ------
    InputError
        If it holds results that must not be replaced, or one of `files`, which will be written, from an unknown origin.
    """
    folder.check("figures", "folder")
    shown = printable(folder.path, 300)
    if folder.kind(_STUDY) is not None:
        if owner.is_study:
            # The sweep says what differs.
            return _files(_results(folder) or {})
        raise InputError(f"{shown} holds a study, which {owner.command} would write over. Pass another --out")
    if folder.kind(RESULTS) is None:
        there = [name for name in files if folder.kind(name) is not None]
        if there:
            raise InputError(
                f"{shown} holds {' and '.join(there)}, and no {RESULTS} that says what of. {_ADVICE}"
            )
        return None
    folder.check(RESULTS, "file")
    results = _results(folder)
    if results is None:
        raise InputError(f"{shown} holds a {RESULTS} that cannot be read. {_ADVICE}")
    if results.get("command") != owner.command:
        raise InputError(
            f"{shown} holds other results, which {owner.command} would write over: those of "
            f"{printable(results.get('command', 'something else'))}. {_ADVICE}"
        )
    if not overwrite:
        differences = "; ".join(_differences(folder, results, owner))
        what = (
            f"other results of {owner.command}: {differences}"
            if differences
            else f"results of {owner.command}"
        )
        raise InputError(f"{shown} holds {what}. {_OVERWRITE}")
    return _files(results)


def path_from(folder: OwnedFolder, file: Path) -> str:
    """Return the way from a folder to a file, which both may be moved with."""
    return Path(os.path.relpath(file.resolve(), folder.path.resolve())).as_posix()


def _results(folder: OwnedFolder) -> dict[str, Any] | None:
    try:
        results = json.loads(folder.read(RESULTS, _MOST))
    except (OSError, ValueError, RecursionError):
        return None
    return results if isinstance(results, dict) else None


def _files(results: Mapping[str, Any]) -> tuple[str, ...]:
    names = results.get("files")
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _differences(folder: OwnedFolder, results: Mapping[str, Any], owner: Owner) -> Iterator[str]:
    """Say how the results that are there differ from those of `owner`."""
    was, now = results.get(MODEL_FILE), None if owner.model is None else path_from(folder, owner.model)
    if was != now:
        before = "a network trained for it" if was is None else printable(_joined(folder, was), 300)
        yield f"the model was {before}, now {'none' if owner.model is None else printable(owner.model, 300)}"
    elif owner.fingerprints and results.get("fingerprints") != list(owner.fingerprints):
        yield "the network was another one"
    other = None if owner.other is None else path_from(folder, owner.other)
    if results.get(OTHER_FILE) != other:
        before = printable(_joined(folder, results.get(OTHER_FILE)), 300)
        yield f"the other model was {before}, now {printable(owner.other, 300)}"
    data = results.get("data")
    known = data if isinstance(data, dict) else {}
    if owner.split is not None and known.get("fingerprint") != owner.split.fingerprint:
        name = printable(known.get("name", "unknown"))
        same = name == owner.split.name
        yield f"the data were {'others of the name ' * same}'{name}'" + f", now '{owner.split.name}'" * (
            not same
        )
    if results.get("seed") != owner.seed:
        yield f"--seed was {printable(results.get('seed'), 30)}, now {owner.seed}"
    for name, settings in (owner.settings or {}).items():
        yield from _changed(name, results.get(name), settings)


def _changed(name: str, was: object, now: object) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, Mapping):
        for key in now:
            yield from _changed(key, was.get(key), now[key])
    elif was != now:
        yield f"{name} was {printable(was, 40)}, now {printable(now, 40)}"


def _joined(folder: OwnedFolder, name: object) -> str:
    return os.path.normpath(folder.path / str(name))
