"""The study: every experiment a trial, whose networks serve all rows that are about them."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from probe._bars import ShownProgress
from probe._checks import InputError, brief, check_choice, check_integer, check_once, kept_seed
from probe._parallel import single_threaded_blas
from probe._progress import Progress
from probe._signatures import checked
from probe.analyses.verification.bench import Bench, Experiment, is_mnist
from probe.analyses.verification.landscapes import CHOROMANSKA, GARIPOV, LI
from probe.analyses.verification.lesson import LESSON
from probe.analyses.verification.memorizing import ARPIT, TONEVA, ZHANG
from probe.analyses.verification.nielsen import FIRST_CHAPTERS
from probe.analyses.verification.nielsen_improved import THIRD_CHAPTER
from probe.analyses.verification.noise import HENDRYCKS
from probe.analyses.verification.results import Verification, VerifiedRow, met
from probe.analyses.verification.rows import SIZES, SOURCES, Row, Size
from probe.datasets import Split
from probe.population import MLP
from probe.results import Record
from probe.study import DesignedStudy, run_study
from probe.training import TrainingConfig

__all__ = ["EXPERIMENTS", "ROWS", "VerificationDesign", "VerificationStudy", "verify"]

EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.key: experiment
    for experiment in (
        *LESSON,
        *FIRST_CHAPTERS,
        *THIRD_CHAPTER,
        *HENDRYCKS,
        *ZHANG,
        *ARPIT,
        *TONEVA,
        *CHOROMANSKA,
        *LI,
        *GARIPOV,
    )
}
"""All experiments by key, in the order of the table."""

ROWS: Mapping[str, Row] = {row.key: row for experiment in EXPERIMENTS.values() for row in experiment.rows}
"""All rows by key."""


@checked
def verify(
    split: Split,
    *,
    rows: Sequence[str] | None = None,
    size: Size = "small",
    n_networks: int = 8,
    seed: int | np.random.Generator = 0,
    workers: int | None = None,
    progress: ShownProgress = "auto",
) -> Verification:
    """Train what was published, and say whether ours comes to the same.

    Each row of the table is a published figure, or a direction where the setup cannot be had, with a tolerance that was
    declared before the table was run: two standard deviations between networks, and what rounding leaves open. A row is
    supported if the 95% interval of ours over networks lies within the tolerance, refuted if it lies outside, and else
    undecided. On data other than MNIST only what carries over is compared.

    Parameters
    ----------
    split : Split
        Data. Most figures are about MNIST, all 60,000 images of it.
    rows : sequence of str, optional
        Sources, such as nielsen or zhang, or keys of rows, at least one; all without.
    size : {"small", "medium", "full"}
        How much is trained: minutes, an hour, or what was published.
    n_networks : int
        Networks of each kind, at least 3. Fewer than six decide nothing.
    seed : int or numpy.random.Generator
        Everything random follows from it; from a generator a seed is drawn.
    workers : int, optional
        Trials that run at the same time, in processes where those pay; by default as many as there are cores, or one if
        all is quickly done. The result does not depend on it.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each experiment.

    Raises
    ------
    InputError
        If an argument is outside its range, or nothing can be compared.
    KeyboardInterrupt
        If Ctrl-C came before the first experiment was done.

    References
    ----------
    .. [1] M. A. Nielsen, "Neural Networks and Deep Learning", 2015.
    .. [2] D. J. Schuirmann, "A comparison of the Two One-Sided Tests Procedure and the Power Approach for assessing the
       equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.

    Examples
    --------
    >>> import probe
    >>> found = verify(probe.load_dataset("digits"), rows=["nielsen-backprop", "zhang-theorem"], n_networks=6)
    >>> [(row.key, row.decision) for row in found.rows]
    [('nielsen-backprop', 'supported'), ('zhang-theorem', 'supported')]
    """
    assert callable(progress)
    study = VerificationStudy.of((), split, rows=rows, size=size, n_networks=n_networks, seed=kept_seed(seed))
    return run_study(study, split, workers=workers, progress=progress)


@checked
@dataclass(frozen=True, slots=True)
class VerificationDesign:
    """What is compared: a part of the table.

    Its fields are as in `verify`, but `rows` are the keys of single rows.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    rows: tuple[str, ...] = ()
    size: Size = "small"
    n_networks: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for row in self.rows:
            check_choice("rows", row, ROWS)
        check_choice("size", self.size, SIZES)
        check_integer("n_networks", self.n_networks, minimum=3)
        check_integer("seed", self.seed, minimum=0)

    @property
    def keys(self) -> tuple[VerificationKey, ...]:
        """The experiments that the rows are of."""
        return tuple(
            VerificationKey(key)
            for key, experiment in EXPERIMENTS.items()
            if any(row.key in self.rows for row in experiment.rows)
        )


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """Names an experiment."""

    experiment: str

    @property
    def name(self) -> str:
        """A name for files."""
        return f"verify-{self.experiment}"


class VerificationTrial(Record):
    """What the networks of one experiment come to.

    Attributes
    ----------
    values : mapping of str to ndarray of shape (n_networks,) or (n_networks, n_columns)
        By the keys of the rows.
    """

    values: Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class VerificationStudy(DesignedStudy[VerificationKey, VerificationTrial, Verification]):
    """The experiments that rows are of."""

    design: VerificationDesign

    name: ClassVar[str] = "verification"
    stage: ClassVar[str] = "verifying"
    trial: ClassVar[type[VerificationTrial]] = VerificationTrial
    default_architectures: ClassVar[tuple[MLP, ...]] = ()
    default_training: ClassVar[TrainingConfig] = TrainingConfig()

    @staticmethod
    def _designed(split: Split, **options: Any) -> VerificationDesign:
        # Which networks are trained, and how, is what was published.
        named = options.pop("rows", None)
        asked = _asked(named)
        fields = {name: value for name, value in options.items() if name not in ("architectures", "config")}
        design = VerificationDesign(**fields)
        there = [
            row.key
            for experiment in EXPERIMENTS.values()
            for row in experiment.asked(design.size, everything=is_mnist(split))
        ]
        rows = tuple(key for key in there if key in asked)
        if not rows:
            raise InputError(
                f"rows must name something that can be compared at size {design.size!r} on {split.name!r}, got "
                f"{', '.join(named or ()) or 'all'}: take a larger size, or MNIST"
            )
        return VerificationDesign(rows=rows, **fields)

    def run(
        self, key: VerificationKey, given: None, split: Split, stop: threading.Event
    ) -> VerificationTrial | None:
        """Train the networks of one experiment, and measure its rows."""
        if stop.is_set():
            return None
        # The name, and not the place in the table: so an experiment stays what it is when others come.
        entropy = (self.design.seed, zlib.crc32(key.experiment.encode()))
        rng = np.random.default_rng(np.random.SeedSequence(entropy))
        bench = Bench(split, self.design.size, self.design.n_networks, rng)
        with single_threaded_blas():
            values = EXPERIMENTS[key.experiment].measure(bench)
        return VerificationTrial(values=dict(values))

    def combine(
        self, done: Mapping[VerificationKey, VerificationTrial], split: Split, progress: Progress
    ) -> Verification:
        """Return what the experiments that are done come to."""
        if not done:
            raise KeyboardInterrupt
        design = self.design
        values = {row: of for trial in done.values() for row, of in trial.values.items()}
        order = list(SOURCES)
        shown = sorted(
            (key for key in design.rows if key in values), key=lambda key: order.index(ROWS[key].source)
        )
        rows = tuple(VerifiedRow.of(ROWS[key], values[key]) for key in shown)
        return Verification(
            rows=rows,
            verdict=met(rows),
            size=design.size,
            n_networks=design.n_networks,
            left_out=tuple(key for key in ROWS if key not in design.rows),
            interrupted=len(done) < len(design.keys),
        )

    def note(self, trials: Sequence[VerificationTrial]) -> str:
        """Return how many of the rows that are done lie within their tolerance."""
        judged = [
            ROWS[key].decision(ROWS[key].interval(values))
            for trial in trials
            for key, values in trial.values.items()
            if key in self.design.rows
        ]
        return f"{judged.count('supported')} of {len(judged)} rows within"


def _asked(named: Sequence[str] | None) -> set[str]:
    """Return the keys of the rows that are named, by themselves or by their source; all without names."""
    if named is None:
        return set(ROWS)
    known = f"sources ({', '.join(SOURCES)}) or single rows, such as nielsen-darkness"
    if not len(named):
        raise InputError(f"rows must be {known}, got none; leave it out for all")
    for name in named:
        if not (isinstance(name, str) and (name in SOURCES or name in ROWS)):
            raise InputError(f"rows must be {known}, got {brief(name)}")
    check_once("rows", named)
    return {key for key, row in ROWS.items() if key in named or row.source in named}
