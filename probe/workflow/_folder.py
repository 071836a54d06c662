"""What the commands write: a page, pictures and numbers in a folder, with the facts of the run."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from probe._checks import InputError
from probe._progress import Progress, silent
from probe._text import plain
from probe._version import __version__
from probe.datasets import DataSource
from probe.pages import Draft, Report
from probe.storage import OwnedFolder, results_bytes
from probe.workflow._gallery import REPORTS, index_above, refresh
from probe.workflow._owner import (
    MODEL_FILE,
    OTHER_FILE,
    RESULTS,
    Owner,
    check_out,
    claimed,
    free_name,
    path_from,
)
from probe.workflow._written import PAGE, Written

__all__ = [
    "Folder",
    "Written",
    "data_stem",
    "destination",
    "file_name",
    "model_stem",
    "origin_of",
    "run_facts",
]


class Folder:
    """A destination: all that a command found goes in at its end, each file whole or not at all.

    `seconds` is what passed from its making to the end of `publish`. `files` are those that will be written, as far as
    they are known.

    Raises
    ------
    InputError
        If `path` is no folder that can be written to, or holds the results of something else. Nothing was written then.
    """

    def __init__(
        self, path: Path, owner: Owner, files: Sequence[str] = (), *, overwrite: bool = False
    ) -> None:
        self.path, self.owner = check_out(path), owner
        self.owned = OwnedFolder(self.path)
        self.files: list[Path] = []
        self._began, self.seconds = time.perf_counter(), 0.0
        self._before = claimed(self.owned, owner, files, overwrite=overwrite)

    @property
    def index(self) -> str:
        """Address of the index that the folder will be in, from a page in it; "" if there is none."""
        above = index_above(self.path)
        return "" if above is None else f"{path_from(self.owned, above)}/{PAGE}"

    def keep(self, numbers: Mapping[str, object], contents: Mapping[str, bytes | memoryview]) -> None:
        """Write results.json with `numbers`, and each of `contents` under its name.

        results.json comes first: it says whose the folder is, also if nothing else is written any more. What was there
        before, and this run does not write, is removed, but for a model file that it read. Then the index that the folder
        is in, if any, is written anew.
        """
        before = set(self._before or ())
        for name in contents:
            if self._before is None and self.owned.kind(name) is not None:
                raise InputError(f"{self.path / name} exists already. Pass another --out, or remove it")
        files = {MODEL_FILE: self.owner.model, OTHER_FILE: self.owner.other}
        facts = {name: path_from(self.owned, file) for name, file in files.items() if file is not None}
        text = json.dumps(
            plain({**numbers, **facts, "files": sorted(contents)}),
            indent=2,
            allow_nan=False,
            ensure_ascii=False,
        )
        results = self.owned.write(RESULTS, (text + "\n").encode(errors="backslashreplace"))
        read = [path_from(self.owned, file) for file in files.values() if file is not None]
        for name in before.difference(contents, read):
            if _WRITTEN.fullmatch(name):
                self.owned.remove(name)
        self.files += [self.owned.write(name, content) for name, content in contents.items()]
        self.files.append(results)
        refresh(self.path)

    def publish(
        self,
        report: Report,
        *,
        facts: Mapping[str, object] | None = None,
        beside: Mapping[str, bytes | memoryview] | None = None,
        draft: Draft | None = None,
        progress: Progress = silent,
    ) -> Written:
        """Write index.html, results.json, results.h5 and figures.

        Parameters
        ----------
        report : Report
            What the page says. Its results are what results.json and results.h5 hold.
        facts : mapping, optional
            What results.json says beside the run's facts, the results and the claims.
        beside : mapping, optional
            Further files, by name.
        draft : Draft, optional
            Where sections of the report are in words and pictures already.
        progress : callable
            Called after each picture.

        Returns
        -------
        Written
            It says the verdicts, or what the page claims where there are none.
        """
        kept = "the results in results.h5, for probe.load_result"
        report = replace(report, kept=f"{report.kept} and {kept}" if report.kept else kept, index=self.index)
        rendered = report.rendered(progress, draft)
        self.seconds = time.perf_counter() - self._began
        run = run_facts(self.owner) | {"seconds": round(self.seconds, 1)}
        self.keep(
            run
            | dict(facts or {})
            | {
                "title": report.title,
                "warnings": [report.warning] if report.warning else [],
                "claims": [claim.to_dict() for claim in rendered.claims],
                "results": {name: result.to_dict() for name, result in report.results.items()},
            },
            {
                PAGE: rendered.html(origin_of(run, self.owner)).encode(),
                **{f"figures/{file_name(name)}.png": png for name, png in rendered.pictures.items()},
                **{f"figures/{file_name(name)}.svg": svg for name, svg in rendered.vectors.items()},
                "results.h5": results_bytes({file_name(name): kept for name, kept in report.results.items()}),
                **(beside or {}),
            },
        )
        verdicts = [
            f"{claim.statement}: {claim.verdict.decision}"
            for claim in rendered.claims
            if claim.verdict is not None
        ]
        return Written(tuple(self.files), "\n".join(verdicts or [claim.found for claim in rendered.claims]))


_AUTHORS, _TITLE = "the probe developers", "probe: what did the hidden layers learn?"
"""Of the software, as in CITATION.cff."""

_WRITTEN = re.compile(r"(figures/)?[A-Za-z0-9][A-Za-z0-9._=+-]*\.(png|svg|gif|h5|html)|inspect\.txt")
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


def run_facts(owner: Owner) -> dict[str, object]:
    """Return what every results.json begins with."""
    split = owner.split
    packages = ("numpy", "scipy", "scikit-learn", "h5py", "matplotlib")
    facts: dict[str, object] = {
        "command": owner.command,
        "seed": owner.seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"probe": __version__, "python": platform.python_version()}
        | {name: _version(name) for name in packages},
    }
    if owner.fingerprints:
        facts["fingerprints"] = list(owner.fingerprints)
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


def origin_of(facts: Mapping[str, object], owner: Owner) -> dict[str, str]:
    """Return what the foot of a page says."""
    versions, split = facts["versions"], owner.split
    assert isinstance(versions, dict)
    data = {}
    if owner.fingerprints:
        data["Network fingerprint"] = f"SHA-256 {' and '.join(owner.fingerprints)}"
    if split is not None:
        data["Data"] = f"{split.name}: {len(split.train):,} training and {len(split.test):,} test images"
        data["Data fingerprint"] = f"SHA-256 {split.fingerprint}"
    return {
        "Made": f"{facts['created']} by probe {__version__} in {facts['seconds']} s",
        "Command": str(facts["command"]),
        "Seed": str(facts["seed"]),
        **data,
        "Versions": ", ".join(f"{name} {found}" for name, found in versions.items()),
        "Cite as": f"{_AUTHORS}, {_TITLE} (version {__version__}), {str(facts['created'])[:4]}",
    }


def destination(
    out: Path | None, name: str, owner: Owner, files: Sequence[str] = (), *, overwrite: bool = False
) -> Folder:
    """Return the folder `out`, or by default reports/`name`, for the results of `owner`.

    Where that name holds what the same command found of another network, the default is a name of its own.
    """
    path = free_name(REPORTS / name, owner) if out is None else out
    return Folder(path, owner, files, overwrite=overwrite)


def data_stem(data: str | DataSource) -> str:
    """Return what a destination is called after the data it was made of."""
    name = DataSource.of(data).data.removeprefix("openml:")
    return Path(name).resolve().stem or "data"


def model_stem(model: Path) -> str:
    """Return what a destination is called after a model: with the folder that it is in, if it is in another one."""
    model = model.resolve()
    stem = model.stem.lstrip(".") or "model"
    return stem if model.parent in (Path.cwd(), Path(model.anchor)) else f"{model.parent.name}-{stem}"
