"""Memorisation studies in words: sections of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from probe.analyses.memorization import Memorization, MemorizationCell
from probe.figures import parts_of
from probe.report.page import Claim, Picture, Section, Table
from probe.stats import Verdict

__all__ = [
    "memorization_section",
    "study_sections",
    "verdict_claims",
]

_CAPTIONS = {
    "curves": (
        "Accuracy against updates: on the labels that each network was taught, on the true labels of the same "
        "images, and on test images. A network stops at its first epoch of 100% and its curve is continued from "
        "there; dashed: always naming the commonest class ({chance:.1%}).",
        "Learning curves of networks on true and on corrupted labels.",
    ),
    "time": (
        "Updates until a training accuracy was reached, counted to the end of the epoch, against the share of "
        "labels that were corrupted: mean and 95% interval over networks. A triangle at the limit: that many "
        "networks did not get there.",
        "Time to fit against the share of corrupted labels.",
    ),
    "peak": (
        "Accuracy on clean test images against epochs, with the best epoch marked (median over networks). With "
        "some labels wrong, what is learned first carries over to test images, and what is learned later does not.",
        "Test accuracy against epochs, with its peak.",
    ),
    "examples": (
        "The hardest and the easiest images over all networks, with the label taught (and the true one where "
        "they differ), the epoch after which each was first classified as taught, and how often it was forgotten.",
        "Images of the hardest and the easiest training examples.",
    ),
    "forgetting": (
        "How often examples were forgotten (right after one epoch, wrong after the next), as shares of the "
        "examples that were ever learned, for those with a right and those with a wrong label; bars: 95% interval "
        "over networks.",
        "Distribution of forgetting events for right and wrong labels.",
    ),
    "sensitivity": (
        "Above: the Gini coefficient, over the training examples, of their loss-sensitivity after each epoch; high where "
        "the gradient of the cost with respect to the pixels is large for few examples. A line is the median of the "
        "networks that were still trained, and ends with the last of them. The verdict compares the mean over the epochs "
        "that all networks of both arms were trained for, not Arpit et al.'s coefficient of the mean over all epochs "
        "of each network (sensitivity_gini in results.json). Below: the share of test images with another predicted "
        "class in a box of radius {radius:g} around them, for pixels in [0, 1].",
        "Loss-sensitivity against epochs, and critical sample ratio against the share of corrupted labels.",
    ),
}

_TITLES = {
    "curves": "What is learned, and when?",
    "time": "How much longer do wrong labels take?",
    "peak": "When does it stop helping?",
    "examples": "Which images are hard?",
    "forgetting": "What is forgotten on the way?",
    "sensitivity": "How local is what was learned?",
}


def memorization_section(result: Memorization, note: str) -> tuple[Section, tuple[Claim, ...]]:
    """Return the experiment of a report on one network; `note` says how it relates to that network."""
    cell = result.cells[0]
    last = len(cell.conditions) - 1
    n_fitted = int(np.isfinite(cell.updates[last, :, -1]).sum())
    lead = (
        f"{cell.n_replicates} replicates of networks {cell.architecture}: all networks of a replicate have the same "
        f"start, the same {cell.n_samples:,} images and the same order; one is taught the true labels, another the "
        f"same labels in random order, from which there is nothing to learn but the images themselves. {note}",
        _wrong(result),
        f"{_limits(result)} For comparison: Zhang et al. (2017, table 1) fitted random labels on all of CIFAR-10 with "
        "one layer of 512 units to 99.34% training and 10.61% test accuracy; secondary accounts of it speak of 1.5 "
        "to 3.5 times as many updates. Networks as narrow as the video's have far fewer parameters to spare.",
    )
    pictures = tuple(
        _picture(result, part, 0, name)
        for part, name in (("curves", "memorization"), ("examples", "memorization_examples"))
    )
    found = (
        f"{n_fitted} of {cell.n_replicates} networks fit all {cell.n_samples:,} random labels (median training "
        f"accuracy {np.median(cell.train_accuracy[last, :, -1]):.1%}), with "
        f"{np.median(cell.test_accuracy[last, :, -1]):.1%} on test images."
    )
    statement = "Such networks can memorise random labels, reaching the same training accuracy"
    claims = (
        Claim(statement, found, "memorization", picture="memorization"),
        *verdict_claims(result.verdicts, "memorization", "memorization"),
    )
    section = Section(
        "memorization",
        "Does it also memorise random labels?",
        tuple(line for line in lead if line),
        pictures,
        (cell_table(result, cell),),
        study_numbers(result),
    )
    return section, claims


def study_sections(result: Memorization) -> tuple[Section, ...]:
    """Return the page of a whole study: its design and tables, then a section for each kind of picture."""
    lead = (
        f"{_factors(result)} Every replicate draws its own images, start and order, which all its networks share; so "
        "the replicate is the network, and differences are taken within replicates. Intervals are 95% each, by "
        "bootstrap over replicates; nothing is corrected for the number of claims.",
        _wrong(result),
        _limits(result),
        _rates(result),
    )
    tables = [cell_table(result, cell) for cell in result.cells]
    numbers = study_numbers(result)
    first = Section("study", "The study", tuple(line for line in lead if line), (), tuple(tables), numbers)
    sections = [first]
    for part in parts_of(result):
        pictures = tuple(_picture(result, part, k, f"{part}_{k + 1}") for k in range(len(result.cells)))
        sections.append(Section(part, _TITLES[part], (), pictures))
    return tuple(sections)


def _picture(result: Memorization, part: str, cell: int, name: str) -> Picture:
    caption, alt = _CAPTIONS[part]
    caption = caption.format(chance=result.chance, radius=result.design.critical_radius)
    if len(result.cells) > 1:
        caption = f"{_cell_name(result.cells[cell])}. {caption}"
    return Picture(name, result, caption, alt, {"part": part, "cell": cell})


def _cell_name(cell: MemorizationCell) -> str:
    return f"{cell.architecture}, {cell.n_samples:,} images"


def _factors(result: Memorization) -> str:
    cells = "; ".join(_cell_name(cell) for cell in result.cells)
    cell = result.cells[0]
    kinds = ", ".join(cell.named(index) for index in range(len(cell.conditions)))
    how = {"permute": "permuted among the images that take part", "uniform": "drawn anew, all classes alike"}
    return (
        f"{cell.n_replicates} replicates of {len(cell.conditions)} conditions ({kinds}) on {cells}. Corrupted labels "
        f"are {how[result.design.label_corruption]}."
    )


def _wrong(result: Memorization) -> str:
    """Return how many labels are really wrong for each share that was corrupted; empty if none was."""
    how = {"permute": "permuted", "uniform": "drawn anew"}[result.design.label_corruption]
    shares = [
        f"where {100 * share:g}% are {how}, {wrong:.1%} of the labels are really wrong"
        for share, wrong in wrong_shares(result).items()
    ]
    return (
        f"Some of the labels that are {how} come out right by chance: {'; '.join(shares)}." if shares else ""
    )


def wrong_shares(result: Memorization) -> dict[float, float]:
    """Return the mean share of wrong labels for each share above 0 of corrupted ones, over all networks."""
    found: dict[float, list[float]] = {}
    for cell in result.cells:
        for condition, agreement in zip(cell.conditions, cell.label_agreement, strict=True):
            if condition.corruption > 0:
                found.setdefault(condition.corruption, []).extend((1 - agreement).tolist())
    return {share: float(np.mean(wrong)) for share, wrong in sorted(found.items())}


def _limits(result: Memorization) -> str:
    config = result.design.config
    return (
        f"Limits: at most {config.epochs} epochs in batches of {config.batch_size} with {config.optimizer}; test "
        f"accuracy is on {result.n_test:,} test images."
    )


def _rates(result: Memorization) -> str:
    rates = sorted({c.learning_rate for cell in result.cells for c in cell.conditions})
    if not result.design.rates:
        return f"The learning rate is {rates[0]:g} for all."
    tried = ", ".join(f"{rate:g}" for rate in result.design.rates)
    chosen = "; ".join(
        f"{_cell_name(cell)}: {', '.join(f'{c.learning_rate:g}' for c in cell.conditions)}"
        for cell in result.cells
    )
    return (
        f"Every condition has the learning rate, of {tried}, at which it fitted its labels soonest, or came closest, in "
        f"{result.design.pilot_replicates} further replicates: {chosen}."
    )


def cell_table(result: Memorization, cell: MemorizationCell) -> Table:
    """Return the medians of one cell."""
    header = [f"updates to {t:.0%}" for t in result.thresholds]
    rows = []
    for index in range(len(cell.conditions)):
        diverged = int(cell.diverged[index].sum())
        rows.append(
            (
                cell.named(index) + (f" ({diverged} diverged, left out)" if diverged else ""),
                f"{1 - cell.label_agreement[index].mean():.1%}",
                *(
                    f"{_median(curve[index, :, -1]):.1%}"
                    for curve in (cell.train_accuracy, cell.true_accuracy)
                ),
                f"{_median(cell.test_accuracy[index, :, -1]):.1%}",
                f"{_median(cell.peak_accuracy[index]):.1%} ({np.median(cell.peak_epoch[index]):.0f})",
                *(_updates_text(u) for u in cell.updates[index].T),
            )
        )
    caption = (
        f"{_cell_name(cell)}; medians over {cell.n_replicates} networks. Updates are counted to the end of the first "
        "epoch at that training accuracy; where not all networks got there, how many did."
    )
    columns = (
        "trained on",
        "labels wrong",
        "training accuracy",
        "on the true labels",
        "test accuracy",
        "at its peak (epoch)",
    )
    return Table(caption, (*columns, *header), tuple(rows))


def _median(values: np.ndarray) -> float:
    return float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else float("nan")


def _updates_text(updates: np.ndarray) -> str:
    reached = int(np.isfinite(updates).sum())
    return f"{np.median(updates):,.0f}" if reached == len(updates) else f"{reached} of {len(updates)}"


def verdict_claims(
    verdicts: Sequence[Verdict], section: str, picture: str | None = None
) -> tuple[Claim, ...]:
    """Return verdicts as the claims at the head of a page."""
    return tuple(Claim(verdict.title, verdict.sentence, section, verdict, picture) for verdict in verdicts)


def study_numbers(result: Memorization) -> dict[str, object]:
    """Return every number that a page on the study says, and those that its figures draw as medians."""
    return {
        "design": result.design.to_dict(),
        "n_test": result.n_test,
        "chance": result.chance,
        "wrong_labels": {f"{share:g}": wrong for share, wrong in wrong_shares(result).items()},
        "thresholds": list(result.thresholds),
        "interrupted": result.interrupted,
        "cells": [_cell_numbers(cell) for cell in result.cells],
    }


def _common_gini(cell: MemorizationCell, index: int) -> dict[str, object]:
    """Return what the verdict on loss-sensitivity compares, of a condition and of true labels."""
    reference = cell.reference(index)
    if reference is None or reference == index or not np.isfinite(cell.sensitivity_curve).any():
        return {}
    corrupted, true = cell.common_gini(index, reference)
    return {
        "common_epochs": cell.common_epochs(index, reference),
        "common_gini": corrupted,
        "common_gini_of_true_labels": true,
    }


def _cell_numbers(cell: MemorizationCell) -> dict[str, object]:
    last = {
        name: getattr(cell, name)[:, :, -1] for name in ("train_accuracy", "true_accuracy", "test_accuracy")
    }
    per_network = [
        "updates",
        "label_agreement",
        "diverged",
        "n_trained",
        "n_examples",
        "n_learned",
        "forgetting",
        "n_exposed",
        "n_never_forgotten",
        "mean_forgetting",
    ]
    per_network += ["margin", "sensitivity_gini", "critical_ratio", "peak_epoch", "peak_accuracy", "drop"]
    conditions = [
        asdict(condition)
        | {"name": cell.named(index), "wrong_labels": 1 - cell.label_agreement[index]}
        | _common_gini(cell, index)
        | {f"final_{name}": values[index] for name, values in last.items()}
        | {name: getattr(cell, name)[index] for name in per_network}
        for index, condition in enumerate(cell.conditions)
    ]
    return {
        "architecture": cell.architecture,
        "n_parameters": cell.n_parameters,
        "n_samples": cell.n_samples,
        "n_replicates": cell.n_replicates,
        "updates_per_epoch": cell.updates_per_epoch,
        "limit": cell.limit,
        "conditions": conditions,
    }
