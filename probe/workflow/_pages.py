"""What commands with a page share: pictures drawn, numbers kept, and the page written, in this order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from probe._progress import Progress, silent
from probe.datasets import Split
from probe.report import Claim, Report
from probe.storage import results_bytes
from probe.workflow._folder import Folder, Written, file_name, origin, run_facts

__all__ = ["Job", "Published"]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a command: where it writes to, and what its results begin with.

    `doubt` says why its numbers may not be about what was meant; "" if nothing is doubtful.
    """

    folder: Folder
    split: Split | None
    began: float = field(default_factory=time.perf_counter)
    doubt: str = ""

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
