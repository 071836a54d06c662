import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe._checks import InputError
from probe.datasets import permuted_labels

LABELS = st.lists(st.integers(0, 9), min_size=0, max_size=80).map(lambda row: np.array(row, dtype=np.int64))


@settings(deadline=None)
@given(labels=LABELS, fraction=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_class_counts_are_kept_and_at_most_the_fraction_changes(labels, fraction, seed):
    before = labels.copy()
    permuted = permuted_labels(labels, rng=np.random.default_rng(seed), fraction=fraction)
    assert np.array_equal(np.bincount(permuted, minlength=10), np.bincount(labels, minlength=10))
    assert np.count_nonzero(permuted != labels) <= round(fraction * len(labels))
    assert np.array_equal(labels, before)


def test_the_same_seed_gives_the_same_labels():
    labels = np.arange(100) % 10
    first, second = (permuted_labels(labels, rng=np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)


def test_fraction_zero_changes_nothing_and_one_leaves_a_tenth_by_chance():
    labels = np.arange(20_000) % 10
    rng = np.random.default_rng(0)
    assert np.array_equal(permuted_labels(labels, rng=rng, fraction=0.0), labels)
    kept = np.mean(permuted_labels(labels, rng=rng) == labels)
    assert kept == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 20_000))
    half_kept = np.mean(permuted_labels(labels, rng=rng, fraction=0.5) == labels)
    assert half_kept == pytest.approx(0.55, abs=0.02)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), "all"])
def test_a_fraction_outside_the_unit_interval_is_refused(fraction):
    with pytest.raises(InputError, match="fraction must be a finite number at least 0 and at most 1"):
        permuted_labels(np.zeros(3, np.int64), rng=np.random.default_rng(0), fraction=fraction)


def test_labels_and_rng_of_a_wrong_type_are_refused():
    with pytest.raises(InputError, match=r"labels must be integers of shape \(n_samples,\), got float64"):
        permuted_labels(np.zeros(3), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match=r"rng must be a numpy.random.Generator.* got 0"):
        permuted_labels(np.zeros(3, np.int64), rng=0)
