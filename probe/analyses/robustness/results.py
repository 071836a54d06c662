"""What is tried, what every network comes to, and what that says of networks in general."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import get_args

import numpy as np
import numpy.typing as npt

from probe._checks import InputError, check_choice, check_integer, check_number, check_once
from probe._signatures import checked
from probe.analyses import concepts, drawing, noise, structure
from probe.population import MLP
from probe.recipes import RECIPES
from probe.results import Columns, Record, Result
from probe.stats import Claim, Decision, Estimate, Interval, Verdict

__all__ = [
    "ANALYSES",
    "CLAIMS",
    "DECISIONS",
    "FACTORS",
    "Robustness",
    "RobustnessDesign",
    "RobustnessKey",
    "RobustnessTrial",
    "general_verdict",
]

ANALYSES = (structure, concepts, noise, drawing)
"""Analyses with `primary_estimates` of one network, and `PRIMARY_CLAIMS` that these decide."""

CLAIMS: Mapping[str, Claim] = {claim.key: claim for analysis in ANALYSES for claim in analysis.PRIMARY_CLAIMS}
"""The primary claims about one network, by key."""

DECISIONS: tuple[Decision, ...] = get_args(Decision)
"""What the numbers of decisions mean."""

FACTORS = {"recipe": "recipe", "length": "length of training", "architecture": "width", "data": "data"}
"""What settings differ in, in words."""


@checked
@dataclass(frozen=True, slots=True)
class RobustnessDesign:
    """A declared range of networks.

    Its fields are as in `robustness`, but `architectures`, `recipes`, `lengths` and `datasets` are tuples.

    Raises
    ------
    InputError
        If a value is outside its range, or is there twice.
    """

    architectures: tuple[MLP, ...]
    recipes: tuple[str, ...] = ("modern", "video")
    lengths: tuple[float, ...] = (0.25, 1.0, 4.0)
    datasets: tuple[str, ...] = ("digits",)
    replicates: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("architectures", "recipes", "lengths"):
            if not getattr(self, name):
                raise InputError(f"{name} must hold at least one value")
        for recipe in self.recipes:
            check_choice("recipes", recipe, RECIPES)
        for length in self.lengths:
            check_number("lengths", length, above=0)
        for name in ("architectures", "recipes", "lengths", "datasets"):
            check_once(name, getattr(self, name))
        check_integer("replicates", self.replicates, minimum=1)
        check_integer("seed", self.seed, minimum=0)

    @property
    def settings(self) -> tuple[RobustnessKey, ...]:
        """All settings, as the first trial of each."""
        counts = [len(part) for part in (self.recipes, self.architectures, self.lengths)]
        return tuple(
            RobustnessKey(recipe, data, length, architecture)
            for data in range(1 + len(self.datasets))
            for recipe, architecture, length in product(*map(range, counts))
        )

    @property
    def keys(self) -> tuple[RobustnessKey, ...]:
        """All trials, replicate after replicate."""
        return tuple(
            replace(setting, replicate=replicate)
            for replicate in range(self.replicates)
            for setting in self.settings
        )


@dataclass(frozen=True, slots=True)
class RobustnessKey:
    """Where a trial stands in the design: indices of its levels. Data 0 are those that the study is run on."""

    recipe: int
    data: int
    length: int
    architecture: int
    replicate: int = 0

    @property
    def name(self) -> str:
        """A name for files."""
        return f"robustness-d{self.data}-p{self.recipe}-a{self.architecture}-l{self.length}-r{self.replicate:04d}"


class RobustnessTrial(Record):
    """What the networks of one trial come to.

    Attributes
    ----------
    claims : tuple of str
        Keys of the claims.
    statistics : ndarray of shape (n_claims, n_networks)
        What decides each claim; NaN where an analysis says nothing of such networks or data.
    decisions : ndarray of shape (n_claims, n_networks), int64
        0 for supported, 1 for refuted, 2 for inconclusive.
    test_accuracy : ndarray of shape (n_networks,), in [0, 1]
    """

    claims: tuple[str, ...]
    statistics: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.int64]
    test_accuracy: npt.NDArray[np.float64]


class Robustness(Result):
    """What each primary claim comes to in every setting of a declared range.

    Attributes
    ----------
    claims : tuple of str
        Keys of the claims.
    titles, statistic_names, units : tuple of str
        Of the claims.
    thresholds : ndarray of shape (n_claims,)
        What the statistics are decided against.
    recipe, length, architecture, data : tuple of str
        The levels of each setting, in words: (n_settings,) each.
    statistics : ndarray of shape (n_claims, n_settings, n_networks)
        NaN where nothing can be said.
    decisions : ndarray of shape (n_claims, n_settings, n_networks), int64
        0 for supported, 1 for refuted, 2 for inconclusive.
    test_accuracy : ndarray of shape (n_settings, n_networks), in [0, 1]
    design : RobustnessDesign
    verdicts : tuple of Verdict
        About networks in general: one for each claim.
    interrupted : bool
        Whether settings are missing that the design has.
    """

    claims: tuple[str, ...]
    titles: tuple[str, ...]
    statistic_names: tuple[str, ...]
    units: tuple[str, ...]
    thresholds: npt.NDArray[np.float64]
    recipe: tuple[str, ...]
    length: tuple[str, ...]
    architecture: tuple[str, ...]
    data: tuple[str, ...]
    statistics: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.int64]
    test_accuracy: npt.NDArray[np.float64]
    design: RobustnessDesign
    verdicts: tuple[Verdict, ...]
    interrupted: bool = False

    @property
    def n_settings(self) -> int:
        """Number of settings that are done."""
        return len(self.recipe)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Share of the networks of each setting for which each claim is supported: (n_claims, n_settings)."""
        return np.asarray((self.decisions == 0).mean(axis=2))

    def levels(self, factor: str) -> tuple[str, ...]:
        """Return the levels of a factor, such as "recipe", in the order of the design."""
        return tuple(dict.fromkeys(getattr(self, check_choice("factor", factor, FACTORS))))

    def columns(self) -> Columns:
        """Return one row for each setting: its levels, its accuracy, and the share of networks that support each claim."""
        columns: Columns = {factor: getattr(self, factor) for factor in FACTORS}
        columns["test_accuracy"] = self.test_accuracy.mean(axis=1)
        return columns | {f"supported_{key}": row for key, row in zip(self.claims, self.shares, strict=True)}


def general_verdict(result: Robustness, index: int) -> Verdict:
    """Return what a claim comes to in general."""
    claim, decisions = CLAIMS[result.claims[index]], result.decisions[index]
    holds, fails = (((decisions == k).mean(axis=1) > 0.5) for k in (0, 1))
    n, n_holds, n_fails = len(holds), int(holds.sum()), int(fails.sum())
    sentence = f"It holds in {n_holds} of {n} settings and is refuted in {n_fails}."
    if n_holds + n_fails < n:
        sentence += " In the others networks are divided, or undecided."
    decision: Decision = "inconclusive"
    if n_holds == n:
        decision, sentence = "supported", f"It holds in all {n} settings."
    elif n_fails == n:
        decision, sentence = "refuted", f"It is refuted in all {n} settings."
    elif n_holds or n_fails:
        # Where it holds nowhere, what there is to say is where it is not refuted.
        share = "in which it holds" if n_holds else "in which it is not refuted"
        sentence += f"{_dependence(result, holds if n_holds else ~fails)} Shares are of the settings {share}."
    return claim.verdict(
        Estimate(Interval(n_holds / n, np.nan, np.nan, 0.95, n), "none", lambda null: (np.nan, np.nan)),
        sentence,
        subject="general",
        decision=decision,
        statistic_name="share of settings in which it holds",
        unit="share",
        replicate="settings",
        threshold=np.nan,
        reason="a claim about networks in general holds throughout the range",
        said="",
        minute="",
    )


def _dependence(result: Robustness, holds: npt.NDArray[np.bool_]) -> str:
    """Return on which factors it depends most: where the share of settings that hold differs most between levels."""
    shares = dict[str, dict[str, float]]()
    for factor in FACTORS:
        levels = np.array(getattr(result, factor))
        shares[factor] = {level: float(holds[levels == level].mean()) for level in result.levels(factor)}
    ranges = {factor: max(by.values()) - min(by.values()) for factor, by in shares.items()}
    largest = max(ranges.values())
    if largest == 0:
        return ""
    parts = [
        f"the {FACTORS[factor]} ({', '.join(f'{level}: {share:.0%}' for level, share in shares[factor].items())})"
        for factor in sorted(ranges, key=lambda name: -ranges[name])
        if ranges[factor] >= largest / 2
    ]
    return f" It depends on {' and '.join(parts)}."
