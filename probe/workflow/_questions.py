"""The questions of a lesson, each answered by an analysis of a network that was trained for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from probe._checks import InputError
from probe._parallel import available_workers, in_threads, single_threaded_blas
from probe._progress import Progress, ProgressEvent, silent
from probe.analyses import drawing, memorization, minima, noise, structure
from probe.analyses.drawing.analysis import DRAWS
from probe.analyses.structure.analysis import EDGES
from probe.ascent import ascend
from probe.controls import MEMORIZING, gentle_rate, n_memorizable
from probe.datasets import Split, uniform_noise
from probe.network import Network
from probe.objectives import class_logit
from probe.report.lesson import Question, image_uri, is_color
from probe.stats import Verdict
from probe.training import DEFAULT_ARCHITECTURE

__all__ = ["questions_of"]

_MOST, _SOME = 0.5, 0.1
"""Shares from which on "most" and "some" are right."""

_PICTURES = 16

_N_MINIMA, _REPLICATES = 12, 6

_EQUAL, _APART = 0.02, 0.1
"""Ranges of test accuracies up to which networks are "about equally good", and "a few points apart"."""


@dataclass(frozen=True, slots=True)
class _Class:
    """What the questions are asked about."""

    network: Network
    split: Split
    units: tuple[Markup, ...]
    seed: int


def questions_of(
    network: Network, split: Split, *, units: tuple[Markup, ...], seed: int, progress: Progress = silent
) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """Return the questions that can be asked of these data, and why others cannot.

    Parameters
    ----------
    network : Network
        The network of the lesson.
    split : Split
        What it was trained on.
    units : tuple of Markup
        Pictures of its first hidden units.
    seed : int
        Everything random follows from it.
    progress : callable
        Called after each question.
    """
    about = _Class(network, split, units, seed)
    lock, n_done = threading.Lock(), 0

    def asked(index: int, stop: threading.Event) -> Question | str:
        nonlocal n_done
        name, ask = _QUESTIONS[index]
        try:
            found: Question | str = ask(about)
        except InputError as error:
            found = f"The question about {name} was left out: {error}."
        with lock:
            n_done += 1
            progress(ProgressEvent("questions", n_done, len(_QUESTIONS)))
        return found

    order = range(len(_QUESTIONS))
    with (
        single_threaded_blas(),
        closing(in_threads(asked, order, workers=available_workers(2), stop=threading.Event())) as results,
    ):
        found = dict(results)
    answers = [found[index] for index in order]
    return (
        tuple(one for one in answers if isinstance(one, Question)),
        tuple(one for one in answers if isinstance(one, str)),
    )


def _edges(about: _Class) -> Question:
    interval = structure.primary_estimates(about.network, about.split, seed=about.seed)["edges"].interval
    n, share = interval.n, interval.estimate
    return Question(
        key="edges",
        heading="What do the hidden units look for?",
        ask="A unit of the first hidden layer is an edge detector if it reacts to one little edge or bar. How many of "
        f"the {n} units of this network are edge detectors?",
        guesses=("most of them", "some of them", "none, or hardly any"),
        found=_level(share),
        answer=f"{round(share * n)} of {n} units are edge detectors.",
        number=f"{interval:.0%;units}",
        how="A unit counts if one Gabor function, which is a little edge or bar, explains two thirds of its weights, "
        "clearly more than a round blob does, and more than of untrained weights with random combinations of images added.",
        said=EDGES.said,
        minute=EDGES.minute,
        command="probe features",
        pictures=about.units,
        caption=f"The weights into {len(about.units)} of the units: blue where {_ink(about.split)} makes the unit more "
        "active, hatched orange where it makes it less active.",
    )


def _draws(about: _Class) -> Question:
    network, noun = about.network, about.split.noun
    interval = drawing.primary_estimates(network, about.split, seed=about.seed)["drawing"].interval
    n, share = interval.n, interval.estimate
    shown = min(network.n_classes, 10)
    climbed = ascend(network, [class_logit(k) for k in range(shown)], restarts=2, steps=200, seed=about.seed)
    return Question(
        key="drawing",
        heading="Can it draw?",
        ask=f"Start with noise, and change the pixels step by step until the network is as sure of one class as can be. "
        f"In how many of the {n} classes is the result an image that others recognize?",
        guesses=("in most of them", "in some of them", "in none, or hardly any"),
        found=_level(share),
        answer=f"It draws {round(share * n)} of {n} classes.",
        number=f"{interval:.0%;classes}",
        how=f"A class counts as drawn if most of its images, plain or smoothed, are named so by other networks and could be "
        f"a real {noun}. Of held-out images nine in ten count.",
        said=DRAWS.said,
        minute=DRAWS.minute,
        command="probe drawing",
        pictures=tuple(
            image_uri(images[best])
            for images, best in zip(climbed.images, climbed.best_restarts, strict=True)
        ),
        caption=f"Its favorite image of each of {shown} classes.",
    )


def _noise(about: _Class) -> Question:
    found = noise.noise_confidence(about.network, about.split, seed=about.seed)
    verdict = found.verdicts[0]
    shown = uniform_noise(4, about.split.test.image_shape, rng=np.random.default_rng(about.seed))
    return Question(
        key="noise",
        heading="How sure is it of noise?",
        ask=f"Each pixel gets a random {'color' if is_color(about.split.train.image_shape) else 'gray'}: there is no "
        f"{about.split.noun} in such an image. Of 100 of them, of how many is the network at least 90% sure what it is?",
        guesses=("of more than half", "of some, 10 to 50", "of fewer than 10"),
        found=_level(verdict.statistic),
        answer=f"It is at least 90% sure of {verdict.statistic:.0%} of the noise.",
        number=f"{verdict.interval:.0%;images}",
        how=verdict.sentence,
        said=verdict.said,
        minute=verdict.minute,
        command="probe noise",
        pictures=tuple(image_uri(image) for image in shown),
        caption="Four of the images.",
    )


def _labels(about: _Class) -> Question:
    train = about.split.train
    architecture = DEFAULT_ARCHITECTURE
    n = n_memorizable(architecture.n_parameters(train.images[0].size, train.n_classes), len(train))
    found = memorization.memorization(
        architecture,
        about.split,
        replace(MEMORIZING, learning_rate=gentle_rate(MEMORIZING.learning_rate, train.images)),
        n_samples=n,
        replicates=_REPLICATES,
        n_test=1000,
        seed=about.seed,
    )
    fits, slower = (_verdict(found.verdicts, key) for key in ("random-labels", "slower"))
    cell = found.cells[0]
    reached = float(np.nanmedian(cell.train_accuracy[-1][:, -1]))
    level = 2 if fits.statistic >= _MOST else 1 if reached > 2 / train.n_classes else 0
    return Question(
        key="random-labels",
        heading="Can it learn labels that mean nothing?",
        ask=f"The labels of {n:,} training images are shuffled: a right answer is pure chance, and there is nothing to "
        "understand. How many of these labels does such a network learn?",
        guesses=("none: it stays at guessing", "some of them", "every single one"),
        found=level,
        answer=f"{round(fits.statistic * fits.interval.n)} of {fits.interval.n} networks learned all of them by heart. That "
        f"took {slower.interval:.2g;networks} times as many steps as the true labels.",
        number=f"{fits.interval:.0%;networks} learned all",
        how=f"{fits.sentence} {slower.sentence}",
        said=fits.said or slower.said,
        minute=fits.minute or slower.minute,
        command="probe memorize",
    )


def _minima(about: _Class) -> Question:
    found = minima.minima_of_kind(about.network, about.split, n_networks=_N_MINIMA, seed=about.seed)
    verdict, width = found.verdicts[0], found.widths[0]
    spread = width.spread.estimate
    return Question(
        key="minima",
        heading="Does luck decide how good it gets?",
        ask=f"{_N_MINIMA} networks start from different random weights, and each rolls down to a valley of its own. How "
        "different are they in the end, in the share of test images that they get right?",
        guesses=(
            "some are far worse: more than 10 points apart",
            "a few points apart",
            "about equally good: within 2 points",
        ),
        found=2 if spread <= _EQUAL else 1 if spread <= _APART else 0,
        answer=f"The middle 90% of them lie within {100 * spread:.1f} points.",
        number=f"{verdict.interval:.0%;networks} lie within {50 * found.margin:g} point of the others' median",
        how=verdict.sentence,
        said=verdict.said,
        minute=verdict.minute,
        command="probe minima",
    )


def _ink(split: Split) -> str:
    return "light" if is_color(split.train.image_shape) else "ink"


def _level(share: float) -> int:
    """Return the index of "most", "some" or "hardly any"."""
    return 0 if share >= _MOST else 1 if share >= _SOME else 2


def _verdict(verdicts: tuple[Verdict, ...], key: str) -> Verdict:
    found = next((verdict for verdict in verdicts if verdict.key == key), None)
    if found is None:
        raise InputError("the experiment did not decide it")
    return found


_QUESTIONS: tuple[tuple[str, Callable[[_Class], Question]], ...] = (
    ("edges", _edges),
    ("drawing", _draws),
    ("noise", _noise),
    ("random labels", _labels),
    ("minima", _minima),
)
"""In the order of the page, by what they are about."""
