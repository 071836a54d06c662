"""What the commands share: a destination, drawing, plain numbers, and the facts of a run."""

from __future__ import annotations

import io
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probe._checks import check_folder
from probe._progress import Progress, ProgressEvent, silent
from probe._version import __version__
from probe.datasets import Split
from probe.figures import draw
from probe.figures._png import png_of, quietly
from probe.storage import write_bytes, write_text

if TYPE_CHECKING:
    from probe.report import Page, Section

__all__ = [
    "Folder",
    "Written",
    "data_stem",
    "destination",
    "drawn",
    "drawn_pictures",
    "origin",
    "plain",
    "run_facts",
    "thumbnail",
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
    """A destination: pictures, numbers and pages go in, each whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = check_folder("--out", path)
        self.files: list[Path] = []

    def picture(self, name: str, png: bytes) -> None:
        """Write figures/`name`.png."""
        self.files.append(write_bytes(self.path / "figures" / f"{name}.png", png))

    def numbers(self, numbers: Mapping[str, object]) -> None:
        """Write results.json."""
        import json

        text = json.dumps(plain(numbers), indent=2, allow_nan=False, ensure_ascii=False)
        # Halves of characters, which names in files may hold, as JSON writes them and UTF-8 cannot.
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        self.files.append(write_text(self.path / "results.json", text + "\n"))

    def page(self, page: Page, pictures: Mapping[str, bytes]) -> None:
        """Write index.html, with the PNG `pictures` of its sections in it, and put it first."""
        from probe.report import render

        shown = {claim.picture for claim in page.claims if claim.picture is not None}
        html = render(page, pictures, {name: thumbnail(pictures[name]) for name in shown & pictures.keys()})
        self.files.insert(0, write_text(self.path / "index.html", html))


def drawn(result: object, **view: Any) -> bytes:
    """Return the figure of `result` as PNG, of bounded size. Everything is drawn before anything is written."""
    with quietly():
        figure = draw(result, **view)
    return png_of(figure)  # type: ignore[arg-type]


def drawn_pictures(sections: Sequence[Section], progress: Progress = silent) -> dict[str, bytes]:
    """Return the pictures of all sections as PNG, by name."""
    pictures = [picture for section in sections for picture in section.pictures]
    found = {}
    for place, picture in enumerate(pictures):
        found[picture.name] = drawn(picture.result, **picture.view)
        progress(ProgressEvent("drawing", place + 1, len(pictures)))
    return found


def thumbnail(png: bytes) -> bytes:
    """Return a picture as a small JPEG, for the table of claims."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((264, 192), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80, optimize=True)
    return buffer.getvalue()


def plain(value: object) -> object:
    """Return `value` as JSON can hold it: no arrays, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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


def origin(facts: Mapping[str, object], split: Split) -> dict[str, str]:
    """Return what the foot of a page says."""
    versions = facts["versions"]
    assert isinstance(versions, dict)
    return {
        "Made": f"{facts['created']} by probe {__version__} in {facts['seconds']} s",
        "Command": str(facts["command"]),
        "Seed": str(facts["seed"]),
        "Data": f"{split.name}: {len(split.train):,} training and {len(split.test):,} test images",
        "Data fingerprint": f"SHA-256 {split.fingerprint}",
        "Versions": ", ".join(f"{name} {found}" for name, found in versions.items()),
    }


def destination(out: Path | None, name: str) -> Folder:
    """Return the folder `out`, or reports/`name` without."""
    return Folder(Path("reports") / name if out is None else out)


def data_stem(data: str) -> str:
    """Return what a destination is called after the data it was made of."""
    name = data.removeprefix("openml:")
    return Path(name).resolve().stem or "data"
