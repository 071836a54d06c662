"""Published figures beside ours: what a row must say, when ours agrees, and every experiment on little data."""

import math
from dataclasses import replace

import numpy as np
import pytest

import probe
from probe import InputError
from probe.analyses.verification import EXPERIMENTS, ROWS, SIZES, SOURCES, Row, VerifiedRow
from probe.analyses.verification.bench import Bench, is_mnist
from probe.analyses.verification.memorizing import _of_the_proof
from probe.analyses.verification.results import met
from probe.analyses.verification.rows import STATISTICS, best_of_three, decided
from probe.datasets import Split
from probe.stats import Interval

FIELDS = {"key": "lesson-x", "source": "lesson", "where": "w", "claim": "c", "setup": "s"}
NUMBER = Row(**FIELDS, low=0.9542, high=0.9542, spread=0.002, rounding=0.00005)


def of(estimate, low, high, n=8):
    return Interval(estimate, low, high, 0.95, n)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


# What a row says


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_says_where_it_is_from_and_why_its_tolerance_is_what_it_is(row):
    assert row.key.startswith(f"{row.source}-") and row.source in SOURCES
    assert row.where and row.claim and row.setup and row.tolerated.partition(": ")[2]
    assert row.low <= row.high and (math.isfinite(row.low) or math.isfinite(row.high))
    assert row.tolerance >= 0 and row.tolerance < math.inf
    if row.low == row.high and row.statistic in ("mean", "best of three") and not row.carries:
        assert row.spread > 0, "a number of one network is known no better than networks differ"
    assert row.published and "inf" not in row.published


def test_there_are_as_many_rows_as_are_asked_for_of_every_source():
    assert len(ROWS) == sum(len(experiment.rows) for experiment in EXPERIMENTS.values())
    assert {row.source for row in ROWS.values()} == set(SOURCES)
    assert sum(row.size == "small" for row in ROWS.values()) >= 25


def test_a_row_is_written_in_its_unit():
    assert (NUMBER.published, NUMBER.tolerance) == ("95.42%", pytest.approx(0.00405))
    assert (
        NUMBER.tolerated == "0.405%: two standard deviations between networks of 0.2% and 0.005% for rounding"
    )
    above = Row(**FIELDS, low=1.0, unit="times", reason="a direction")
    assert (above.published, above.tolerated) == ("above 1.00", "none: a direction")
    assert Row(**FIELDS, high=0.01, digits=0).published == "below 1%"
    assert Row(**FIELDS, high=1e-6, unit="").published == "below 1e-06"
    assert Row(**FIELDS, low=1.5, high=3.5, unit="times", digits=1).published == "1.5 to 3.5"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": "hearsay"}, "source must be one of lesson, nielsen"),
        ({"spread": -0.1}, "spread must be a finite number at least 0, got -0.1"),
        ({"statistic": "mode"}, "statistic must be one of mean"),
        ({"size": "huge"}, "size must be one of small, medium, full"),
        (
            {"low": 1.0},
            "low and high must be a number twice, or a range that is open on one side at most, got 1.0 and 0.95",
        ),
        ({"low": -math.inf, "high": math.inf}, "open on one side at most"),
        ({"digits": -1}, "digits must be an integer"),
        ({"known": "guessed"}, "known must be one of digits, sentence, account"),
    ],
)
def test_a_row_of_another_kind_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        replace(NUMBER, **changed)


# When ours agrees


@pytest.mark.parametrize(
    ("interval", "decision"),
    [
        (of(0.954, 0.953, 0.955), "supported"),
        (of(0.954, 0.949, 0.955), "inconclusive"),  # its lower end is outside
        (of(0.930, 0.925, 0.935), "refuted"),
        (of(0.980, 0.975, 0.985), "refuted"),
        (of(0.954, 0.953, 0.955, n=5), "inconclusive"),  # five networks decide nothing
        (of(0.954, np.nan, np.nan), "supported"),  # all networks are equal
        (of(np.nan, np.nan, np.nan), "inconclusive"),
    ],
)
def test_a_row_is_supported_where_the_whole_interval_is_within(interval, decision):
    assert NUMBER.decision(interval) == decision


def test_what_is_open_on_one_side_is_decided_on_the_other():
    above = Row(**FIELDS, low=1.0, unit="times", statistic="ratio")
    assert above.decision(of(3.0, 2.0, 4.0)) == "supported"
    assert above.decision(of(0.5, 0.4, 0.6)) == "refuted"
    assert above.decision(of(1.5, 0.9, 2.0)) == "inconclusive"
    assert decided(of(-5.0, -6.0, -4.0), -math.inf, 0.0) == "supported"


def test_what_is_not_random_needs_no_interval():
    exact = Row(**FIELDS, low=13_002, high=13_002, statistic="exact", unit="")
    assert exact.decision(exact.interval(np.array([13_002.0]))) == "supported"
    assert exact.decision(exact.interval(np.array([13_003.0]))) == "refuted"


def test_networks_as_far_from_the_figure_as_networks_differ_are_within_and_others_are_not(rng):
    """Planted: 8 networks whose mean is the published figure, or six standard deviations off."""
    near, far = (rng.normal(0.9542 + shift, 0.002, 8) for shift in (0.0, 0.012))
    assert NUMBER.decision(NUMBER.interval(near)) == "supported"
    assert NUMBER.decision(NUMBER.interval(far)) == "refuted"


def test_the_best_of_three_is_the_mean_over_all_threes(rng):
    from itertools import combinations

    values = rng.random((2, 7))
    expected = [np.mean([max(three) for three in combinations(row, 3)]) for row in values]
    np.testing.assert_allclose(best_of_three(values), expected)
    np.testing.assert_allclose(best_of_three(values.T, axis=0), expected)


def test_a_correlation_and_its_fall_are_numpys(rng):
    costs = rng.random((40, 4))
    costs[:, 1] += costs[:, 0]
    first, second = (np.corrcoef(costs[:, k : k + 2].T)[0, 1] for k in (0, 2))
    assert STATISTICS["correlation"](costs[:, :2]).estimate == pytest.approx(first)
    assert STATISTICS["correlations"](costs).estimate == pytest.approx(first - second)
    wide = STATISTICS["spread"](np.stack([1 + 0.3 * costs[:, 0], 1 + 0.1 * costs[:, 2]], axis=1))
    assert wide.low < wide.estimate < wide.high and wide.estimate > 1


@pytest.mark.parametrize(
    ("low", "high", "value", "expected"),
    [
        (0.5, 0.5, 0.5, 0.0),
        (0.5, 0.5, 0.6, 1.0),
        (1.5, 3.5, 3.6, 1.0),
        (1.0, math.inf, 0.9, -1.0),
        (-math.inf, 1.0, 1.1, 1.0),
    ],
)
def test_the_tolerated_band_ends_at_one_on_the_axis_of_the_picture(low, high, value, expected):
    row = Row(**FIELDS, low=low, high=high, rounding=0.1, unit="")
    assert VerifiedRow.of(row, np.full(8, value)).relative[0] == pytest.approx(expected)


def test_a_remark_is_made_only_where_ours_lies_elsewhere():
    row = replace(NUMBER, remark="it gets stuck")
    assert VerifiedRow.of(row, np.full(8, 0.954)).remark == ""
    assert VerifiedRow.of(row, np.full(8, 0.90)).remark == "it gets stuck"


@pytest.mark.parametrize(
    ("within", "outside", "undecided", "decision"),
    [(6, 2, 1, "supported"), (4, 2, 3, "inconclusive"), (1, 6, 2, "refuted"), (1, 0, 0, "supported")],
)
def test_the_table_is_met_where_most_rows_are(within, outside, undecided, decision):
    at = {0.954: within, 0.90: outside, np.nan: undecided}
    rows = [
        VerifiedRow.of(NUMBER, np.full(8, value) if value == value else np.linspace(0.9, 1, 8))
        for value, n in at.items()
        for _ in range(n)
    ]
    found = met(rows)
    assert (found.decision, found.subject, found.interval.n) == (decision, "general", len(rows))
    assert found.sentence.startswith(f"{within} of {len(rows)} rows lie within")


# What is run


@pytest.fixture(scope="module")
def few():
    digits = probe.load_dataset("digits")
    return Split(digits.train.take(range(60)), digits.test.take(range(120)), "few digits")


@pytest.mark.parametrize("key", [key for key, each in EXPERIMENTS.items() if each.rows[0].size == "small"])
def test_every_experiment_of_the_small_size_measures_its_rows_on_any_images(key, few):
    experiment = EXPERIMENTS[key]
    values = experiment.measure(Bench(few, "small", 3, np.random.default_rng(0)))
    for row in experiment.rows:
        if row.size != "small":
            continue
        assert np.isfinite(values[row.key]).all(), row.key
        assert len(values[row.key]) >= 3 or row.statistic == "exact", row.key
        assert math.isfinite(row.interval(values[row.key]).estimate), row.key


def test_all_of_mnist_is_known_by_its_images(digits):
    mnist = probe.load_dataset("mnist")
    assert is_mnist(mnist) and is_mnist(replace(mnist, name="mine"))
    assert not is_mnist(digits)
    assert not is_mnist(replace(mnist, train=mnist.train.take(slice(0, 1000))))


def test_on_other_data_only_what_carries_over_is_compared(few):
    study = probe.analyses.verification.VerificationStudy.of((), few)
    assert study.design.rows and all(ROWS[key].carries for key in study.design.rows)
    mnist = probe.analyses.verification.VerificationStudy.of((), probe.load_dataset("mnist"))
    assert set(mnist.design.rows) == {key for key, row in ROWS.items() if row.size == "small"}


@pytest.mark.parametrize("size", SIZES)
def test_a_larger_size_compares_what_a_smaller_one_does(size):
    rows = probe.analyses.verification.VerificationStudy.of(
        (), probe.load_dataset("mnist"), size=size
    ).design.rows
    assert {key for key, row in ROWS.items() if row.size == "small"} <= set(rows)


def test_rows_are_named_by_source_or_one_by_one_and_their_networks_are_trained_once(few):
    found = probe.verify(few, rows=["zhang-theorem", "nielsen-backprop", "nielsen-few-train"], n_networks=6)
    assert [row.key for row in found.rows] == ["nielsen-backprop", "nielsen-few-train", "zhang-theorem"]
    assert found.counts["supported"] == 3 and not found.interrupted
    assert set(found.sources) == {"nielsen", "zhang"}
    study = probe.analyses.verification.VerificationStudy.of(
        (), few, rows=["nielsen-few-train", "nielsen-few-gain"]
    )
    assert [key.experiment for key in study.design.keys] == ["nielsen-few"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"rows": ["newton"]},
            r"rows must be sources \(lesson, nielsen.*\) or single rows, such as .*, got 'newton'",
        ),
        ({"rows": ["zhang", "zhang"]}, "rows"),
        ({"rows": []}, "got none; leave it out for all"),
        (
            {"rows": ["nielsen-darkness"]},
            "can be compared at size 'small' on 'few digits', got nielsen-darkness: take a larger",
        ),
        ({"size": "tiny"}, "size must be one of small, medium, full"),
        ({"n_networks": 2}, "n_networks must be an integer"),
    ],
)
def test_what_cannot_be_compared_is_refused(few, arguments, message):
    with pytest.raises(InputError, match=message):
        probe.verify(few, **arguments)


def test_the_network_of_the_proof_fits_any_labels(rng):
    images, labels = rng.random((50, 9)), rng.integers(10, size=50).astype(float)
    np.testing.assert_allclose(_of_the_proof(images, labels, rng), labels, atol=1e-6)
