"""Networks with known answers on MNIST: each gets the decisions that it deserves.

Run as a program it writes `docs/known-answers.md`: the table with its numbers.
"""

import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import subjects
from subjects import mnist

import probe
from probe._parallel import single_threaded_blas
from probe.analyses.concepts import claims, concepts
from probe.analyses.concepts.units import hidden_layers
from probe.analyses.drawing import analysis as drawings
from probe.analyses.drawing import drawing
from probe.analyses.noise import noise_confidence
from probe.analyses.structure import weight_structure

PAGE = Path(__file__).parents[1] / "docs" / "known-answers.md"

CLAIMS = {
    "random": "the weights look almost random",
    "edges": "the units of the first layer are edge detectors",
    "loops": "a unit of the last hidden layer recognizes loops",
    "loops-layer": "the last hidden layer tells loops better than the pixels do",
    "noise": "it is sure of pure noise",
    "detects": "its confidence tells noise from digits",
    "drawing": "it has no idea how to draw a digit",
}
"""What is asked, in the order of the columns."""

MARKS = {"S": "supported", "R": "refuted", "i": "inconclusive", "-": None, "?": "?"}

ANSWERS = {
    # name: (what it is, what must be said, in the order of CLAIMS; - where an analysis has nothing to say, and ? where
    # it is as computed: training of 12,000 steps may end elsewhere on another machine)
    "trained": ("the sample of the repository: 784-16-16-10, sigmoid, 95.8% right", "i R R i S S S"),
    "untrained": ("the same before training", "S R R R R S S"),
    "random labels": ("fits 1,000 images with permuted labels", "S R R R ? ? S"),
    "Gabor": ("16 little edges and bars as first layer; the others learned on it", "R S R i R S S"),
    "blobs": ("16 round spots as first layer, which are smooth, but no edges", "R R R i R S S"),
    "class means": ("the mean image of each class as first layer", "R R R R R S S"),
    "templates": ("compares with class means, without hidden layers: it draws these", "R R - - S R R"),
    "linear softmax": ("no hidden layers", "i R - - R S S"),
    "loop unit": ("a loop detector planted in the last hidden layer of 12 linear units", "S R S S R R S"),
    "loop unit, rotated": ("the same function; the units are mixtures of the ones before", "S R R S R R S"),
    "sure of noise": ("was taught that noise is a 5", "S R R i S R S"),
    "doubtful of noise": ("was taught that noise may be any class", "i R R i R S S"),
    "adversarial": ("128 rectifiers that learned images moved against them", "R R R S R S S"),
    "from Keras": ("a convolutional network that Keras trained and wrote, 97% right", "i i R S S S S"),
    "permuted pixels": ("the sample, its pixels and those of the data in another order", "S R R R S S S"),
}

WITHOUT_HIDDEN = [name for name, (_, marks) in ANSWERS.items() if "-" in marks]

SIXTEEN = "between 4 and 12 of 16 units have structure, which leaves half of the units possible"
ALIKE = "the layer tells loops about as well as the pixels do: what is between them is below what the images resolve"
WHY_OPEN = {
    ("trained", "random"): SIXTEEN,
    ("doubtful of noise", "random"): SIXTEEN,
    ("linear softmax", "random"): "8 of its 10 units have structure, which leaves half of the units possible",
    ("from Keras", "random"): "2 of its 8 kernels have structure, which leaves half of the units possible",
    (
        "from Keras",
        "edges",
    ): "1 of its 8 kernels is an edge detector, which leaves half of the units possible",
    **dict.fromkeys(
        [
            (name, "loops-layer")
            for name in ("trained", "Gabor", "blobs", "sure of noise", "doubtful of noise")
        ],
        ALIKE,
    ),
}
"""Why nothing else than "inconclusive" can be said."""


def expected(name):
    return dict(zip(CLAIMS, (MARKS[mark] for mark in ANSWERS[name][1].split()), strict=True))


def subject(name):
    makers = {
        "trained": subjects.trained,
        "untrained": subjects.untrained,
        "random labels": subjects.random_labels,
        "Gabor": subjects.gabor,
        "blobs": subjects.blob,
        "class means": subjects.mean_reader,
        "templates": subjects.template,
        "linear softmax": subjects.linear,
        "loop unit": subjects.loop_unit,
        "sure of noise": subjects.sure_of_noise,
        "doubtful of noise": subjects.doubtful_of_noise,
        "adversarial": subjects.adversarial,
        "from Keras": subjects.from_keras,
    }
    if name == "permuted pixels":
        return subjects.permuted_pixels(subjects.trained(), mnist())
    if name == "loop unit, rotated":
        return subjects.loop_unit(rotated=True), mnist()
    return makers[name](), mnist()


@contextmanager
def shared():
    """Make what depends on the data alone once, and not for each subject."""
    with pytest.MonkeyPatch.context() as patch, single_threaded_blas():
        jury = cache(lambda split: JURY(split, np.random.default_rng(0)))
        patch.setattr(drawings, "Jury", lambda split, rng, **_: jury(split))
        for module, name in (
            (drawings, "_linear_softmax"),
            (claims, "loop_sample"),
            (claims, "kept_powers"),
        ):
            patch.setattr(module, name, cache(getattr(module, name)))
        yield


JURY = drawings.Jury


@pytest.fixture(scope="module", autouse=True)
def shared_by_all():
    with shared():
        yield


@cache
def verdicts(name):
    """Return the verdicts of the analyses about a subject, by key."""
    network, split = subject(name)
    with warnings.catch_warnings():
        # Some of them know nothing of digits, and are not meant to.
        warnings.simplefilter("ignore", probe.ProbeWarning)
        found = [weight_structure(network, split, n_null=199)]
        if name not in WITHOUT_HIDDEN:
            last = hidden_layers(network)[-1:]
            found.append(
                concepts(network, split, layers=last, n_images=1000, n_permutations=19, n_rotations=19)
            )
        found += [noise_confidence(network, split), drawing(network, split, restarts=2)]
    return {verdict.key: verdict for result in found for verdict in result.verdicts}


@pytest.mark.parametrize("name", ANSWERS)
def test_subjects_get_the_decisions_that_they_deserve(name):
    found = verdicts(name)
    told = {key: found[key].decision if key in found else None for key in CLAIMS}
    asked = expected(name)
    assert told == {key: told[key] if asked[key] == "?" else asked[key] for key in CLAIMS}, {
        key: (found[key].interval, found[key].sentence) for key in found if key in told
    }


def test_nothing_is_left_open_without_a_reason():
    open_ones = {
        (name, key)
        for name in ANSWERS
        for key, decision in expected(name).items()
        if decision == "inconclusive"
    }
    assert open_ones == set(WHY_OPEN)


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_said_of_noise_holds_for_other_noise(name):
    network, split = subject(name)
    noise = np.random.default_rng(99).random((2000, *split.test.image_shape), np.float32)
    logits = network.logits(noise.reshape(-1, *network.input_shape)).astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    share, said = (1 / odds >= 0.9).mean(), verdicts(name)["noise"]
    assert share == pytest.approx(said.statistic, abs=0.06)
    within = said.interval.low < 0.5 < said.interval.high
    assert {"supported": share > 0.5, "refuted": share < 0.5, "inconclusive": within}[said.decision]


def test_a_rotated_layer_computes_the_same_and_only_the_unit_is_gone():
    one, other = subjects.loop_unit(), subjects.loop_unit(rotated=True)
    few = mnist().test.images[:200]
    np.testing.assert_allclose(one.logits(few), other.logits(few), atol=1e-3)
    plain, rotated = verdicts("loop unit"), verdicts("loop unit, rotated")
    for key in ("random", "edges", "noise", "drawing"):
        assert rotated[key].statistic == pytest.approx(plain[key].statistic, abs=0.005), key
    assert rotated["loops-layer"].statistic == pytest.approx(plain["loops-layer"].statistic, abs=0.01)
    assert rotated["loops"].interval.high < plain["loops"].interval.low


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_weights_that_are_all_the_same_are_no_random_ones(weight):
    def found(n):
        network = subjects.gabor()
        first = network.dense_layers[0]
        kernel = np.concatenate([np.full((784, n), weight, np.float32), first.kernel[:, n:]], axis=1)
        layers = tuple(replace(layer, kernel=kernel) if layer is first else layer for layer in network.layers)
        verdicts = weight_structure(replace(network, layers=layers), mnist(), n_null=99).verdicts
        return {verdict.key: verdict for verdict in verdicts}

    some, every = found(8), found(16)
    assert (some["random"].decision, some["random"].interval.n) == ("refuted", 8)
    assert (some["edges"].statistic, some["edges"].interval.n) == (0.5, 16)
    assert "Left out: 8" in some["random"].sentence
    assert np.isnan(every["random"].statistic)
    assert (every["random"].decision, every["edges"].decision) == ("inconclusive", "refuted")


def test_what_does_not_depend_on_where_pixels_are_stays_when_they_are_permuted():
    network, split = subject("permuted pixels")
    before = subjects.trained()
    right = [
        (each.predict_proba(data.test.images).argmax(axis=1) == data.test.labels).mean()
        for each, data in ((network, split), (before, mnist()))
    ]
    assert right[0] == right[1]
    noise = np.random.default_rng(0).random((500, 28, 28), np.float32)
    images = replace(split.test.take(slice(0, 500)), images=noise)
    moved = subjects.permuted_pixels(before, replace(mnist(), test=images))[1]
    np.testing.assert_allclose(
        network.predict_proba(moved.test.images).max(axis=1),
        before.predict_proba(noise).max(axis=1),
        atol=1e-5,
    )
    plain, permuted = verdicts("trained"), verdicts("permuted pixels")
    for key in ("noise", "detects"):
        assert permuted[key].interval.low < plain[key].interval.high, key
        assert permuted[key].interval.high > plain[key].interval.low, key


def test_the_page_says_what_is_expected():
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    told = {
        cells[0].strip().strip("*"): [cell.split("<br>")[0].strip() for cell in cells[1:]]
        for cells in rows[2:]
    }
    assert list(told) == list(ANSWERS)
    for name, decisions in told.items():
        asked = [decision or "–" for decision in expected(name).values()]
        known = [k for k, decision in enumerate(asked) if decision != "?"]
        assert [decisions[k] for k in known] == [asked[k] for k in known], name


def page():
    """Return the page with the table."""
    lines = [
        "# Known answers",
        "",
        "<!-- Written by `python tests/test_known_answers.py`. -->",
        "",
        "Some networks were made so that one knows what must be said of them. Each is given to `probe` on MNIST, without "
        "control networks, as any file is. A test asks for every decision below; `tests/subjects.py` makes the networks.",
        "",
        "The claims: " + "; ".join(f"*{key}*: {title}" for key, title in CLAIMS.items()) + ".",
        "",
        "Under each decision are the number that decides and its interval of 95%: shares of units for *random* and *edges*, "
        "how far an AUROC is above what is asked for *loops* (at least 0.7 within classes) and *loops-layer* (what the "
        "pixels have), shares of noise images for *noise*, an AUROC for *detects*, shares of classes for *drawing*. "
        "A dash: without hidden layers there is nothing to ask.",
        "",
        f"| subject | {' | '.join(CLAIMS)} |",
        f"|---|{'---|' * len(CLAIMS)}",
    ]
    for name in ANSWERS:
        found = verdicts(name)
        lines.append(f"| **{name}** | {' | '.join(cell(found.get(key)) for key in CLAIMS)} |")
    lines += ["", "## Who they are", ""]
    lines += [f"- **{name}**: {about}." for name, (about, _) in ANSWERS.items()]
    lines += [
        "",
        "## What stays open",
        "",
        "A decision stays open where the numbers leave both answers possible:",
        "",
    ]
    for why in dict.fromkeys(WHY_OPEN.values()):
        these = ", ".join(f"{name} ({key})" for (name, key), reason in WHY_OPEN.items() if reason == why)
        lines.append(f"- {these}: {why}.")
    return "\n".join([*lines, ""])


def cell(verdict):
    if verdict is None:
        return "–"
    interval = verdict.interval
    return f"{verdict.decision}<br>{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]".replace(
        "-", "−"
    )


if __name__ == "__main__":
    with shared():
        PAGE.write_text(page())
