"""The search for an architecture in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probe.analyses.search import ArchitectureSearch, SearchCandidate, SearchFront
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["search_section"]

_HEADER = (
    "network",
    "cost",
    "learning rate",
    "parameters",
    "epochs",
    "operations (billions)",
    "seconds",
    "validation",
    "test",
)


def search_section(result: ArchitectureSearch) -> tuple[Section, tuple[Claim, ...]]:
    """Return which network the search chose, and what it is worth beside the video's."""
    tables = (
        Table(
            "The best for so few parameters, the fewest first: no candidate with as few or fewer is right on more "
            "validation images. Test: with a 95% bootstrap interval over networks. Those with fewer than "
            f"{result.rungs[-1].n_epochs} epochs were dropped before the end, and might have become better.",
            _HEADER,
            _rows(result, result.by_parameters.all_rungs),
        ),
        Table(
            "The best for so little time, the least first: seconds that training one network took here, as part of the "
            "population that it was trained in.",
            _HEADER,
            _rows(result, result.by_seconds.all_rungs),
        ),
        Table(
            "All that were trained to the end, the best on validation images first; the video's network was trained to the "
            "end at every learning rate, whatever its rank.",
            _HEADER,
            _rows(result, result.last_rung),
        ),
    )
    picture = Picture(
        "search",
        result,
        "Errors on validation images, on a logarithmic scale, against the number of parameters (left) and against the "
        "seconds that training one network took (right). See how the choice and the video's network compare in "
        "error and in price; and whether test images, which nothing was chosen by, agree. Below: how many candidates were "
        "left as training went on.",
        "Errors of all candidates against parameters and time, with the best for each price joined by steps.",
    )
    claims = (Claim(result.verdict.title, result.verdict.sentence, "search", result.verdict, "search"),)
    section = Section(
        "search", "Which architecture does best?", _lead(result), (picture,), tables, _numbers(result)
    )
    return section, claims


def _lead(result: ArchitectureSearch) -> tuple[str, ...]:
    chosen, first, n_networks = result.chosen, result.rungs[0], len(result.chosen.test_accuracy)
    went_on = [f"{rung.n_candidates} to {rung.n_epochs} epochs" for rung in result.rungs[1:]]
    went_on_in_words = f"; the best of them went on, {', then '.join(went_on)}" if went_on else ""
    failed = sum(int(candidate.failed.sum()) for candidate in result.candidates)
    dead = (
        f" {failed} of all {n_networks * len(result.candidates)} networks failed: their cost was no number any more. They "
        f"count with the accuracy of guessing, {result.chance:.0%}."
        if failed
        else ""
    )
    return (
        f"{_counted(first.n_candidates)} trained, each a shape with an activation, a cost and a learning rate, as "
        f"{n_networks} networks each for {_epochs(first.n_epochs)} on {len(result.training_samples):,} images"
        f"{went_on_in_words}. What is better was decided on {len(result.validation_samples):,} other training images; the "
        f"{result.n_test:,} test images say what it is worth, and decided nothing.{dead}",
        f"Chosen was {_shape(chosen)} with the {chosen.cost} cost and learning rate {chosen.learning_rate:g}. It has "
        f"{chosen.n_parameters:,} parameters, {chosen.n_parameters / result.videos.n_parameters:.2g} times those of the "
        f"video's network, and puts {chosen.validation:.2%} of the validation images and {chosen.test:.2%} of the test "
        "images in the right class.",
    )


def _counted(candidates: int) -> str:
    return "1 candidate was" if candidates == 1 else f"{candidates} candidates were"


def _epochs(count: int) -> str:
    return f"{count} epoch" + "s" * (count > 1)


def _shape(candidate: SearchCandidate) -> str:
    hidden = "-".join(map(str, candidate.hidden))
    return f"{hidden} {candidate.activation}" if candidate.hidden else "no hidden layer"


def _rows(
    result: ArchitectureSearch, places: Sequence[int] | npt.NDArray[np.int64]
) -> tuple[tuple[str, ...], ...]:
    roles = {result.reference: " (the video's)", result.best: " (chosen)"}
    if result.best == result.reference:
        roles[result.best] = " (chosen, the video's)"
    rows = []
    for k in places:
        candidate = result.candidates[k]
        test = candidate.test_interval()
        rows.append(
            (
                _shape(candidate) + roles.get(int(k), ""),
                candidate.cost,
                f"{candidate.learning_rate:g}",
                f"{candidate.n_parameters:,}",
                str(candidate.n_epochs),
                f"{candidate.training_flops / 1e9:.3g}",
                _seconds(candidate),
                f"{candidate.validation:.2%}",
                f"{test.estimate:.2%} ({test.low:.2%} to {test.high:.2%})",
            )
        )
    return tuple(rows)


def _seconds(candidate: SearchCandidate) -> str:
    return "–" if math.isnan(candidate.training_seconds) else f"{candidate.training_seconds:.2g}"


def _numbers(result: ArchitectureSearch) -> dict[str, object]:
    return {
        "n_networks": len(result.chosen.test_accuracy),
        "n_training_images": len(result.training_samples),
        "n_validation_images": len(result.validation_samples),
        "n_test_images": result.n_test,
        "batch_size": result.batch_size,
        "chance": result.chance,
        "n_failed": sum(int(candidate.failed.sum()) for candidate in result.candidates),
        "rungs": [
            {
                "n_epochs": rung.n_epochs,
                "n_candidates": rung.n_candidates,
                "best_validation_accuracy": rung.best_validation,
            }
            for rung in result.rungs
        ],
        "chosen": result.best,
        "reference": result.reference,
        "front_by_parameters": _front(result.by_parameters),
        "front_by_seconds": _front(result.by_seconds),
        "candidates": [_candidate(candidate) for candidate in result.candidates],
    }


def _front(front: SearchFront) -> dict[str, object]:
    return {"last_rung": front.last_rung, "all_rungs": front.all_rungs}


def _candidate(candidate: SearchCandidate) -> dict[str, object]:
    return {
        "hidden": list(candidate.hidden),
        "activation": candidate.activation,
        "cost": candidate.cost,
        "learning_rate": candidate.learning_rate,
        "role": candidate.role,
        "finalist": candidate.finalist,
        "n_parameters": candidate.n_parameters,
        "n_epochs": candidate.n_epochs,
        "training_flops": candidate.training_flops,
        "training_seconds": candidate.training_seconds,
        "validation_accuracy": candidate.validation_accuracy,
        "test_accuracy": candidate.test_accuracy,
        "n_failed": int(candidate.failed.sum()),
    }
