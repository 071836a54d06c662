"""How much is learned by heart, in words: capacities and memorisation scores."""

from __future__ import annotations

import numpy as np

from probe.analyses.capacity import Capacity
from probe.analyses.scores import MemorizationScores
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["capacity_section", "scores_section"]

_SCORE_LIMITS = (0.5, 0.9)
"""Memorisation scores from which on images are counted."""


def capacity_section(result: Capacity) -> tuple[Section, Claim]:
    """Return how many random labels each architecture fits."""
    design = result.design
    rows, numbers = [], []
    for index, name in enumerate(result.architectures):
        interval = result.interval(index)
        n_censored = int(result.censored[index].sum())
        least = "≥ " if n_censored else ""
        text = f"{least}{interval.estimate:,.0f}"
        if n_censored:
            from_low = f"interval from {interval.low:,.0f} up; " if interval.n > 1 else ""
            text += f" ({from_low}{n_censored} of {interval.n} searches never failed)"
        elif interval.n > 1:
            text += f" ({interval.low:,.0f} to {interval.high:,.0f})"
        ratio = interval.estimate / result.n_parameters[index]
        rows.append((name, f"{result.n_parameters[index]:,}", text, f"{least}{ratio:.2f}"))
        numbers.append(
            {
                "architecture": name,
                "n_parameters": int(result.n_parameters[index]),
                "capacities": result.capacities[index],
                "censored": result.censored[index],
                "mean": interval.estimate,
                "mean_is_lower_bound": result.is_lower_bound(index),
                "interval": [interval.low, interval.high],
                "searches": [
                    {"tried": trial.tried, "fitted_share": trial.fitted_share}
                    for trial in result.trials[index]
                ],
            }
        )
    rates = ", ".join(f"{rate:g}" for rate in design.rates)
    lead = (
        "The largest number of images whose random labels a network of each shape fits to 100%: doubled until it "
        f"fails, then halved down to {design.tolerance:.0%}. A number counts as fitted if at least half of "
        f"{design.starts} networks with starts and labels of their own fit it at one of the learning rates {rates} "
        f"({design.config.optimizer}, {design.config.schedule}), within {design.config.epochs} epochs in batches of "
        f"{design.config.batch_size}, or {design.updates:,} updates "
        "where these are more. This is what training reaches, a lower bound of what some weights could represent.",
    )
    censored = (
        " ≥: searches fitted all images that they were allowed, and count with that number, so the mean is a lower bound."
        if result.censored.any()
        else ""
    )
    table = Table(
        f"Mean over {len(result.capacities[0])} searches, each on images of its own, with a 95% bootstrap interval."
        + censored,
        ("architecture", "parameters", "random labels fitted", "labels per parameter"),
        tuple(rows),
    )
    picture = Picture(
        "capacity",
        result,
        "Random labels fitted against the number of parameters, both on logarithmic scales; a point for each search, "
        "and their mean. Open triangles: everything allowed was fitted, so the capacity is at least that; a mean with such "
        "searches is open, has an arrow upwards and is named with ≥.",
        "Capacity against the number of parameters.",
    )
    section = Section(
        "capacity", "How much can it learn by heart?", lead, (picture,), (table,), {"capacity": numbers}
    )
    found = "; ".join(f"{row[0]}: {row[2]}" for row in rows)
    return section, Claim("A network can learn only so many random labels by heart", found, "capacity")


def scores_section(result: MemorizationScores) -> tuple[Section, Claim]:
    """Return how much the examples were memorised rather than inferred from the others."""
    wrong = result.is_corrupted
    rows = []
    numbers: dict[str, object] = {
        "architecture": result.architecture,
        "n_samples": len(result.scores),
        "n_networks": result.n_networks,
        "n_diverged": result.n_diverged,
        "share": result.share,
        "corruption": result.corruption,
        "scores": result.scores,
        "standard_errors": result.standard_errors,
        "labels": result.labels,
        "true_labels": result.true_labels,
        "sample_indices": result.sample_indices,
    }
    for name, there in (("right labels", ~wrong), ("wrong labels", wrong)):
        if there.any():
            scores = result.scores[there]
            rows.append(
                (
                    name,
                    f"{there.sum():,}",
                    f"{scores.mean():.3f}",
                    f"{np.median(scores):.3f}",
                    *(f"{(scores >= limit).mean():.1%}" for limit in _SCORE_LIMITS),
                )
            )
    lead = (
        f"{result.n_networks} networks {result.architecture}, each trained on a random {result.share:.0%} of "
        f"{len(result.scores):,} images. The memorisation score of an image is how much more often it is classified as "
        "taught by the networks that were trained on it than by those that were not (Feldman and Zhang 2020): near 0 "
        "for what follows from the other images, near 1 for what is right only if it was learned by heart. The standard "
        f"error of one score is {np.median(result.standard_errors):.3f} in the median, so single images near a limit may "
        "be on the other side of it.",
    )
    table = Table(
        "Scores by whether the label taught is right.",
        (
            "taught",
            "images",
            "mean score",
            "median",
            *(f"score of {limit:g} or more" for limit in _SCORE_LIMITS),
        ),
        tuple(rows),
    )
    picture = Picture(
        "scores",
        result,
        "Left: how the scores are distributed. Right: the images that were memorised most, with the label taught (and "
        "the true one where they differ). Are they the ones that you would have found odd?",
        "Histogram of memorisation scores, and the most memorised images.",
    )
    share = float((result.scores[~wrong] >= _SCORE_LIMITS[0]).mean()) if (~wrong).any() else float("nan")
    found = f"{share:.1%} of the images with a right label have a score of {_SCORE_LIMITS[0]:g} or more"
    if wrong.any():
        of_wrong = float((result.scores[wrong] >= _SCORE_LIMITS[0]).mean())
        found += f", and {of_wrong:.1%} of those with a wrong one"
    section = Section("scores", "Which examples are learned by heart?", lead, (picture,), (table,), numbers)
    return section, Claim("Few examples have to be learned by heart", f"{found}.", "scores")
