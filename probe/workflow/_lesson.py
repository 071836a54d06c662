"""A lesson: networks for a class, worksheets about them, the key, and a page of questions to guess at."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from markupsafe import Markup

from probe._checks import Array, DivergedError, check_integer
from probe._progress import Progress, ProgressEvent, silent
from probe.ascent import ascend
from probe.datasets import DataSource, Split, uniform_noise
from probe.network import Network
from probe.objectives import class_logit
from probe.pages.lesson import Item, Lesson, Worksheet, image_uri, weights_uri
from probe.population import Population
from probe.recipes import RECIPES, described
from probe.storage import network_bytes
from probe.training import DEFAULT_ARCHITECTURE, TrainingConfig, train_population
from probe.workflow._folder import data_stem, destination, run_facts
from probe.workflow._owner import Owner
from probe.workflow._questions import questions_of
from probe.workflow._written import Written

__all__ = ["lesson"]

MOST_STUDENTS = 40

_TITLE = "A lesson"

N_NOISE = 200
"""Noise images that each network sees."""

_PAGES = ("index.html", "worksheets.html", "key.html")

_SHARE = 0.25
"""Of the usual epochs: many networks are trained, and they are good enough."""

_UNITS, _FAVORITES, _ITEMS, _STRONGEST = 16, 10, 3, 3

_SURE = 0.9

_FULL = 0.99
"""Share of the weights that are paler than full color."""


def lesson(
    *,
    data: str | DataSource = "mnist",
    n_students: int = 4,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write a lesson: a page of questions to guess at, worksheets to print, and the teacher's key.

    Parameters
    ----------
    data, overwrite, seed, progress
        As for all commands.
    n_students : int
        Students, 1 to 40: each gets a network and two pages.
    out : Path, optional
        Folder for index.html, worksheets.html, key.html, the networks and results.json; reports/lesson-<data> by default.

    Raises
    ------
    InputError
        If the data cannot be read, an argument is outside its range, or `out` cannot be written to.
    DivergedError
        If a network diverges.
    """
    check_integer("n_students", n_students, minimum=1, maximum=MOST_STUDENTS)
    check_integer("--seed", seed, minimum=0)
    split = DataSource.of(data).split()
    architecture = DEFAULT_ARCHITECTURE
    config = RECIPES["modern"].training(architecture.activation, len(split.train))
    config = replace(config, epochs=max(1, round(_SHARE * config.epochs)), evaluation="end")
    owner = Owner("probe lesson", seed, split)
    folder = destination(out, f"lesson-{data_stem(data)}", owner, _PAGES, overwrite=overwrite)
    # The first network is that of the page; the students' are the same whatever their number is, but for rounding.
    found = train_population(
        architecture, split, config, n_networks=n_students + 1, seed=seed, progress=progress
    )
    if found.interrupted:
        raise KeyboardInterrupt
    if found.diverged:
        raise DivergedError(f"a network of the lesson diverges at learning_rate {config.learning_rate:g}")
    networks, accuracies = found.population, found.history.test_accuracy[:, -1]
    sheets = []
    for number in range(1, n_students + 1):
        rng = np.random.default_rng([seed, number])
        sheets.append(_worksheet(number, networks.network(number), float(accuracies[number]), split, rng))
        progress(ProgressEvent("worksheets", number, n_students))
    questions, left_out = questions_of(
        networks.network(0), split, units=_units(networks.network(0), split), seed=seed, progress=progress
    )
    whole = Lesson(
        questions=questions,
        left_out=left_out,
        sheets=tuple(sheets),
        data=split.name,
        noun=split.noun,
        class_names=split.train.class_names,
        kind=architecture.named(math.prod(split.train.image_shape), split.train.n_classes),
        training=described(config),
        n_train=len(split.train),
        n_test=len(split.test),
        n_noise=N_NOISE,
        image_shape=split.train.image_shape,
        seed=seed,
        index=folder.index,
    )
    facts = run_facts(owner) | {"architecture": asdict(architecture), "config": asdict(config)}
    folder.keep(
        facts | {"title": _TITLE, "answers": _answers(whole)}, _contents(whole, networks, facts, config)
    )
    many = f"{n_students} worksheet{'s' * (n_students != 1)} of 2 pages"
    return Written(tuple(folder.files), f"{len(questions)} questions and {many}")


def _contents(
    whole: Lesson, networks: Population, facts: dict[str, object], config: TrainingConfig
) -> dict[str, bytes | memoryview]:
    """Return the files of the lesson by name."""
    pages = dict(zip(_PAGES, (whole.page(), whole.worksheets(), whole.key()), strict=True))
    contents: dict[str, bytes | memoryview] = {name: page.encode() for name, page in pages.items()}
    for sheet in whole.sheets:
        provenance = facts | {"student": sheet.number}
        contents[sheet.file] = network_bytes(networks.network(sheet.number), provenance=provenance)
    return contents


def _answers(whole: Lesson) -> dict[str, object]:
    """Return the key as results.json holds it."""
    return {
        "questions": [
            {"key": one.key, "guesses": one.guesses, "found": one.found, "number": one.number}
            for one in whole.questions
        ],
        "students": [
            {
                "number": sheet.number,
                "file": sheet.file,
                "accuracy": sheet.accuracy,
                "images": [
                    {
                        "label": item.label,
                        "named": item.named,
                        "confidence": item.confidence,
                        "strongest_units": item.strongest,
                    }
                    for item in sheet.items
                ],
                "noise": {"named": sheet.noise.named, "confidence": sheet.noise.confidence},
                "n_sure_of_noise": sheet.n_sure,
                "favorites": {name: confidence for name, _, confidence in sheet.favorites},
            }
            for sheet in whole.sheets
        ],
    }


def _worksheet(
    number: int, network: Network, accuracy: float, split: Split, rng: np.random.Generator
) -> Worksheet:
    noise_rng, image_rng, ascent_rng = rng.spawn(3)
    noise = uniform_noise(N_NOISE, split.test.image_shape, rng=noise_rng)
    sure = network.predict_proba(noise).max(axis=1)
    chosen = _chosen(network, split, image_rng)
    classes = range(min(network.n_classes, _FAVORITES))
    climbed = ascend(network, [class_logit(k) for k in classes], restarts=2, steps=100, seed=ascent_rng)
    favorites = climbed.images[np.arange(len(climbed.images)), climbed.best_restarts]
    certain = network.predict_proba(favorites)
    names = split.train.class_names
    return Worksheet(
        number=number,
        units=_units(network, split),
        n_units=network.dense_layers[0].n_units,
        items=_items(network, split.test.images[chosen], [names[k] for k in split.test.labels[chosen]]),
        noise=_items(network, noise[[int(sure.argmax())]], [""])[0],
        favorites=tuple((names[k], image_uri(favorites[k]), float(certain[k, k])) for k in classes),
        accuracy=accuracy,
        n_sure=int((sure >= _SURE).sum()),
        file=f"network-{number:02}.h5",
    )


def _units(network: Network, split: Split) -> tuple[Markup, ...]:
    """Return pictures of the weights into the first hidden units."""
    first = network.dense_layers[0].kernel[:, :_UNITS].T.reshape(-1, *split.train.image_shape)
    # A few large weights would leave all others pale.
    limit = float(np.quantile(np.abs(first), _FULL)) or 1.0
    return tuple(weights_uri(weights, limit) for weights in first)


def _chosen(network: Network, split: Split, rng: np.random.Generator) -> list[int]:
    """Return test images in random order: one that the network gets wrong if there is one, the others right."""
    right = network.predict(split.test.images) == split.test.labels
    wrong = rng.permutation(np.flatnonzero(~right))[:1]
    others = rng.permutation(np.flatnonzero(right))[: _ITEMS - len(wrong)]
    return [int(index) for index in rng.permutation(np.concatenate([wrong, others]))]


def _items(network: Network, images: Array, labels: list[str]) -> tuple[Item, ...]:
    shares = network.predict_proba(images)
    hidden = images.reshape(len(images), -1) @ network.dense_layers[0].kernel[:, :_UNITS]
    return tuple(
        Item(
            picture=image_uri(image),
            label=label,
            named=network.class_names[int(share.argmax())],
            confidence=float(share.max()),
            strongest=tuple(int(unit) + 1 for unit in np.argsort(-excited, kind="stable")[:_STRONGEST]),
        )
        for image, label, share, excited in zip(images, labels, shares, hidden, strict=True)
    )
