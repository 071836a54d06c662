"""The whole report from Python: a page as a value, which a notebook shows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from probe._bars import ShownProgress
from probe._checks import check_integer, check_number
from probe._signatures import checked
from probe.datasets import Split
from probe.fitting import for_data
from probe.network import Network
from probe.pages import Claim, Draft
from probe.recipes import Recipe
from probe.results import Record
from probe.storage import write_bytes
from probe.workflow._folder import origin_of, run_facts
from probe.workflow._owner import Owner
from probe.workflow._page import PageSubject, page_of

__all__ = ["ReportPage", "report"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReportPage:
    """The page of a report. As the last line of a notebook's cell it shows itself in a frame.

    Attributes
    ----------
    html : str
        The page: one document that loads nothing.
    claims : tuple of Claim
        What it says about the statements of the video, each with its verdict.
    results : mapping of str to Result
        What was found, by name.
    """

    html: str
    claims: tuple[Claim, ...]
    results: Mapping[str, Record]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, such as report.html, for any browser. A file of that name is replaced.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        return write_bytes(path, self.html.encode())

    def __repr__(self) -> str:
        decided = [
            f"{claim.statement}: {claim.verdict.decision}"
            for claim in self.claims
            if claim.verdict is not None
        ]
        return "\n".join([f"ReportPage of {len(self.results)} results", *decided])

    def _repr_html_(self) -> str:
        # The page has no rights in the notebook: its script runs, and it may save pictures and numbers.
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="Report" sandbox="allow-scripts allow-downloads" '
            'style="width: 100%; height: 44em; border: 1px solid #8888"></iframe>'
        )


@checked
def report(
    network: Network,
    split: Split,
    *,
    recipe: Recipe | None = None,
    minutes: float = 1.0,
    seed: int = 0,
    progress: ShownProgress = "auto",
) -> ReportPage:
    """Run every analysis on a network, beside 12 control networks, and return the page about it.

    It takes one to two minutes for a small network. `probe report MODEL` on the command line writes the same page, with
    results and pictures as files.

    Parameters
    ----------
    network : Network
        With classes.
    split : Split
        The data that it was trained on.
    recipe : Recipe, optional
        How `network` was trained, as for `probe.control_networks`.
    minutes : float
        Time for control networks of other layers than dense ones, about, at least 0.
    seed : int
        At least 0; everything random follows from it.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each step.

    Raises
    ------
    InputError
        If an argument is outside its range, or network and data do not fit each other.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP(hidden=(16, 16)), split).network
    >>> page = report(network, split)                   # doctest: +SKIP
    >>> page.save("report.html")                        # doctest: +SKIP
    """
    assert callable(progress)
    check_integer("seed", seed, minimum=0)
    check_number("minutes", minutes, minimum=0)
    began = time.perf_counter()
    network = for_data(network, split)
    subject = PageSubject(network, None, recipe, f"A network of {network.n_parameters:,} parameters", None)
    with Draft("brief") as draft:
        page = page_of(subject, split, draft, minutes=minutes, kept="", seed=seed, progress=progress)
        rendered = page.rendered(progress, draft)
    owner = Owner("probe.report", seed, split).about(network)
    run = run_facts(owner) | {"seconds": round(time.perf_counter() - began, 1)}
    return ReportPage(rendered.html(origin_of(run, owner)), rendered.claims, page.results)
