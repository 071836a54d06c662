"""What the commands share: a destination, drawing, plain numbers, and the facts of a run."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from probe._checks import InputError
from probe._json import plain
from probe._version import __version__
from probe.datasets import Split
from probe.figures import picture as drawn
from probe.storage import OwnedFolder
from probe.workflow._owner import MODEL_FILE, RESULTS, Owner, check_out, claimed, path_from

if TYPE_CHECKING:
    pass

__all__ = [
    "Folder",
    "Written",
    "data_stem",
    "destination",
    "drawn",
    "file_name",
    "model_stem",
    "origin",
    "run_facts",
]


@dataclass(frozen=True, slots=True)
class Written:
    """What a command wrote.

    Attributes
    ----------
    files : tuple of Path
        The files, the one to look at first.
    summary : str
        One line: what was found.
    interrupted : bool
        Whether Ctrl-C ended the work early and what was done until then was kept.
    """

    files: tuple[Path, ...]
    summary: str
    interrupted: bool = False


class Folder:
    """A destination: all that a command found goes in at its end, each file whole or not at all.

    Parameters
    ----------
    path : Path
        As the user typed it.
    owner : Owner
        What the results are of. A folder that holds those of something else is refused.
    files : sequence of str
        Files that will be written, as far as they are known.

    Raises
    ------
    InputError
        If it is no folder that can be written to, or holds something else. Nothing was written then.
    """

    def __init__(self, path: Path, owner: Owner, files: Sequence[str] = ()) -> None:
        self.path, self.owner = check_out(path), owner
        self.owned = OwnedFolder(self.path)
        self.files: list[Path] = []
        self._before = claimed(self.owned, owner, files)

    def keep(self, numbers: Mapping[str, object], contents: Mapping[str, bytes | memoryview]) -> None:
        """Write results.json with `numbers`, and each of `contents` under its name.

        results.json comes first: it says whose the folder is, also if nothing else is written any more. What an earlier
        run of the same command left, and this one does not write, is removed.
        """
        before = set(self._before or ())
        for name in contents:
            if self._before is None and self.owned.kind(name) is not None:
                raise InputError(f"{self.path / name} exists already. Pass another --out, or remove it")
        model = self.owner.model
        facts = {} if model is None else {MODEL_FILE: path_from(self.owned, model)}
        text = json.dumps(
            plain({**numbers, **facts, "files": sorted(contents)}),
            indent=2,
            allow_nan=False,
            ensure_ascii=False,
        )
        results = self.owned.write(RESULTS, (text + "\n").encode(errors="backslashreplace"))
        for name in before.difference(contents):
            if _WRITTEN.fullmatch(name):
                self.owned.remove(name)
        self.files += [self.owned.write(name, content) for name, content in contents.items()]
        self.files.append(results)


_WRITTEN = re.compile(r"(figures/)?[A-Za-z0-9][A-Za-z0-9._=+-]*\.(png|gif|h5|html)")
"""Names of files that are written, and may be removed when they are out of date."""


def file_name(name: str) -> str:
    """Return what a file is called after `name`, which may come from a model file: plain letters, and not too many.

    Examples
    --------
    >>> file_name("paths_hidden_2"), file_name("paths_../x")
    ('paths_hidden_2', 'paths_.._x-4a97d0a8')
    """
    safe = re.sub("[^A-Za-z0-9._=+-]", "_", name)[:100]
    if safe == name:
        return name
    return f"{safe}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def run_facts(command: str, seed: int, split: Split | None) -> dict[str, object]:
    """Return what every results.json begins with."""
    packages = ("numpy", "scipy", "scikit-learn", "h5py", "matplotlib")
    facts: dict[str, object] = {
        "command": command,
        "seed": seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"probe": __version__, "python": platform.python_version()}
        | {name: _version(name) for name in packages},
    }
    if split is not None:
        facts["data"] = {
            "name": split.name,
            "fingerprint": split.fingerprint,
            "n_train": len(split.train),
            "n_test": len(split.test),
            "image_shape": list(split.train.image_shape),
            "class_names": list(split.train.class_names),
        }
    return facts


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def origin(facts: Mapping[str, object], split: Split | None) -> dict[str, str]:
    """Return what the foot of a page says."""
    versions = facts["versions"]
    assert isinstance(versions, dict)
    data = {}
    if split is not None:
        data["Data"] = f"{split.name}: {len(split.train):,} training and {len(split.test):,} test images"
        data["Data fingerprint"] = f"SHA-256 {split.fingerprint}"
    return {
        "Made": f"{facts['created']} by probe {__version__} in {facts['seconds']} s",
        "Command": str(facts["command"]),
        "Seed": str(facts["seed"]),
        **data,
        "Versions": ", ".join(f"{name} {found}" for name, found in versions.items()),
    }


def destination(out: Path | None, name: str, owner: Owner, files: Sequence[str] = ()) -> Folder:
    """Return the folder `out`, or reports/`name` without, for the results of `owner`.

    Raises
    ------
    InputError
        If it is no folder that can be written to, or holds something else.
    """
    return Folder(Path("reports") / name if out is None else out, owner, files)


def data_stem(data: str) -> str:
    """Return what a destination is called after the data it was made of."""
    name = data.removeprefix("openml:")
    return Path(name).resolve().stem or "data"


def model_stem(model: Path) -> str:
    """Return what a destination is called after a model: with the folder that it is in, if it is in another one."""
    model = model.resolve()
    stem = model.stem.lstrip(".") or "model"
    return stem if model.parent in (Path.cwd(), Path(model.anchor)) else f"{model.parent.name}-{stem}"
