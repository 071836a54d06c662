"""What commands with a page share: pictures drawn, numbers kept, and the page written, in this order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from probe._progress import Progress, silent
from probe.datasets import Split
from probe.report import Claim, Page, Report, Section
from probe.storage import result_bytes, results_bytes
from probe.workflow._folder import Folder, Written, drawn_pictures, file_name, origin, run_facts, thumbnail

__all__ = ["Job", "Part"]

Part = tuple[Section, tuple[Claim, ...]]
"""A section, and the claims at the head of the page that it has the details of."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a command: where it writes to, and what its results begin with.

    `doubt` says why its numbers may not be about what was meant; "" if nothing is doubtful.
    """

    folder: Folder
    split: Split | None
    began: float = field(default_factory=time.perf_counter)
    doubt: str = ""

    def write(
        self,
        title: str,
        subtitle: str,
        parts: Sequence[Part],
        *,
        results: Mapping[str, object],
        numbers: Mapping[str, object] | None = None,
        heads: tuple[str, str] = ("Said in the video", "Found"),
        kept: str = "",
        beside: Mapping[str, bytes | memoryview] | None = None,
        progress: Progress = silent,
    ) -> float:
        """Write results.json, index.html and figures, and return the seconds that everything took.

        Parameters
        ----------
        title, subtitle, heads
            As in `probe.report.Page`.
        parts : sequence of Part
            In the order of the page.
        results : mapping of str to result
            What to keep for `probe.load_result`, by the name of the file.
        kept : str
            What else is kept beside the page, in words.
        beside : mapping, optional
            Further files, by name.
        numbers : mapping, optional
            What results.json says beside the run's facts, the sections' numbers and the verdicts.
        progress : callable
            Called after each picture.
        """
        sections = tuple(section for section, _ in parts)
        claims = tuple(claim for _, found in parts for claim in found)
        pictures = drawn_pictures(sections, progress)
        files = {f"{file_name(name)}.h5": result_bytes(result) for name, result in results.items()}
        seconds = time.perf_counter() - self.began
        owner = self.folder.owner
        facts = run_facts(owner.command, owner.seed, self.split) | {"seconds": round(seconds, 1)}
        if files:
            said = f"the results in {_listed(list(files))}, for probe.load_result"
            kept = f"{kept} and {said}" if kept else said
        page = Page(title, subtitle, claims, sections, origin(facts, self.split), heads, kept, self.doubt)
        self.folder.keep(
            facts
            | dict(numbers or {})
            | {"warnings": [self.doubt] if self.doubt else []}
            | {
                "claims": [_plainly(claim) for claim in claims],
                "sections": {section.key: section.numbers for section in sections if section.numbers},
                "verdicts": [claim.verdict.to_dict() for claim in claims if claim.verdict is not None],
            },
            {
                "index.html": _rendered(page, pictures),
                **{f"figures/{file_name(name)}.png": png for name, png in pictures.items()},
                **files,
                **(beside or {}),
            },
        )
        return seconds

    def publish(
        self,
        report: Report,
        *,
        facts: Mapping[str, object] | None = None,
        beside: Mapping[str, bytes | memoryview] | None = None,
        progress: Progress = silent,
    ) -> Published:
        """Write index.html, results.json, results.h5 and figures.

        Parameters
        ----------
        report : Report
            What the page says. Its results are what results.json and results.h5 hold.
        facts : mapping, optional
            What results.json says beside the run's facts, the results and the claims.
        beside : mapping, optional
            Further files, by name.
        progress : callable
            Called after each section.
        """
        kept = "the results in results.h5, for probe.load_result"
        report = replace(
            report, kept=f"{report.kept} and {kept}" if report.kept else kept, warning=self.doubt
        )
        rendered = report.rendered(progress)
        seconds = time.perf_counter() - self.began
        owner = self.folder.owner
        run = run_facts(owner.command, owner.seed, self.split) | {"seconds": round(seconds, 1)}
        self.folder.keep(
            run
            | dict(facts or {})
            | {
                "warnings": [self.doubt] if self.doubt else [],
                "claims": [claim.to_dict() for claim in rendered.claims],
                "results": {name: result.to_dict() for name, result in report.results.items()},
            },
            {
                "index.html": rendered.html(origin(run, self.split)).encode(),
                **{f"figures/{file_name(name)}.png": png for name, png in rendered.pictures.items()},
                "results.h5": results_bytes({file_name(name): kept for name, kept in report.results.items()}),
                **(beside or {}),
            },
        )
        return Published(tuple(self.folder.files), rendered.claims, seconds)


@dataclass(frozen=True, slots=True)
class Published:
    """What was written, what the page claims, and how many seconds everything took."""

    files: tuple[Path, ...]
    claims: tuple[Claim, ...]
    seconds: float

    def written(self, *lines: str, interrupted: bool = False) -> Written:
        """Return what a command says: its `lines`, or the verdicts, or what it claims without any."""
        verdicts = [
            f"{claim.statement}: {claim.verdict.decision}"
            for claim in self.claims
            if claim.verdict is not None
        ]
        return Written(
            self.files, "\n".join(lines or verdicts or [claim.found for claim in self.claims]), interrupted
        )


def _rendered(page: Page, pictures: Mapping[str, bytes]) -> bytes:
    """Return the page with the PNG `pictures` of its sections in it."""
    from probe.report import render

    shown = {claim.picture for claim in page.claims if claim.picture is not None}
    html = render(page, pictures, {name: thumbnail(pictures[name]) for name in shown & pictures.keys()})
    return html.encode()


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _plainly(claim: Claim) -> dict[str, object]:
    decision = None if claim.verdict is None else claim.verdict.decision
    return {
        "statement": claim.statement,
        "found": claim.found,
        "section": claim.section,
        "picture": claim.picture,
        "decision": decision,
    }
