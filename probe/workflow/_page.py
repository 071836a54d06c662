"""What the page of a whole report is made of: a network, and what every analysis of the catalogue finds of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from probe._memory import give_back_memory
from probe._progress import Progress
from probe.analyses.concepts import Concepts
from probe.analyses.landscape import cost_plane
from probe.analyses.maximize import Maximization
from probe.analyses.unit import unit_cards
from probe.catalogue import ANALYSES
from probe.controls import control_networks
from probe.datasets import Split
from probe.film import Film
from probe.fitting import doubt_about
from probe.network import Network
from probe.pages import CHAPTERS, Draft, Report, Section
from probe.pages.page.payload import payload
from probe.recipes import Recipe
from probe.results import Record
from probe.training import (
    NetworkSummary,
    TrainingHistory,
)
from probe.workflow._sections import Subject, in_report, side_by_side

__all__ = ["PageSubject", "page_of"]

_CONTROLS = 12
"""Control networks of a report."""


@dataclass(frozen=True, slots=True, eq=False)
class PageSubject:
    """The network that a report is about, and where it comes from."""

    network: Network
    history: TrainingHistory | None
    recipe: Recipe | None
    origin: str
    film: Film | None
    provenance: Mapping[str, object] = field(default_factory=dict)

    def accuracy(self, split: Split) -> float:
        """Return the share of the test images that it gets right."""
        return float((self.network.predict(split.test.images) == split.test.labels).mean())


def page_of(
    subject: PageSubject,
    split: Split,
    draft: Draft,
    *,
    minutes: float,
    kept: str,
    seed: int,
    progress: Progress,
) -> Report:
    """Return the page about a network, with what every analysis of the catalogue finds of it.

    Each section is added to the draft as soon as it is there.
    """
    network, accuracy = subject.network, subject.accuracy(split)
    sections = _sections(subject, accuracy, split, draft, minutes, seed, progress)
    results = {name: result for section in sections for name, result in section.results.items()}
    return Report(
        title="What did the hidden layers learn?",
        subtitle=f"{subject.origin}. It gets {accuracy:.2%} of {len(split.test):,} {split.name} test images right.",
        sections=sections,
        chapters=CHAPTERS,
        kept=kept,
        warning=doubt_about(network),
        live=payload(network, split, results, recipe=subject.recipe, film=subject.film),
    )


def _sections(
    subject: PageSubject,
    accuracy: float,
    split: Split,
    draft: Draft,
    minutes: float,
    seed: int,
    progress: Progress,
) -> tuple[Section, ...]:
    """Return the sections of the page: the network, and what each analysis of the catalogue finds of it."""
    recipe = subject.recipe
    controls = control_networks(
        subject.network,
        split,
        n_networks=_CONTROLS,
        recipe=recipe,
        minutes=minutes,
        seed=seed,
        progress=progress,
    )
    give_back_memory()
    on = Subject(subject.network, split, controls, seed, progress)
    summary: dict[str, Record] = {
        "network": NetworkSummary.of(subject.network, split.name, accuracy),
        "controls": controls.summary,
    }
    cost = "cross-entropy" if recipe is None else recipe.config.cost
    summary["plane"] = cost_plane(subject.network, split, film=subject.film, cost=cost, seed=seed)
    if subject.history is not None:
        summary["training"] = subject.history
    beside = f"Beside it stand {controls.summary.sentence}"
    training = Section(key="training", results=summary, note=beside)
    draft.add(training)
    done = side_by_side(
        [(entry, *in_report(entry, on)) for entry in ANALYSES if entry.report is not None],
        on,
        lambda section: None if section.key == "weights" else draft.add(section),  # more comes to that one
    )
    sections = {section.key: section for section in done}
    found = {name: result for section in sections.values() for name, result in section.results.items()}
    cards = unit_cards(
        subject.network,
        split,
        controls=controls,
        favorites=[result for result in found.values() if isinstance(result, Maximization)],
        concepts=cast("Concepts | None", found.get("concepts")),
        seed=seed,
    )
    weights, is_tested = sections["weights"], bool(sections["structure"].results)
    sections["weights"] = replace(
        weights,
        results={**weights.results, "cards": cards},
        facts={**weights.facts, "is_tested": is_tested},
    )
    draft.add(sections["weights"])
    return training, *sections.values()
