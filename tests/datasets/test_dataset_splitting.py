import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe._checks import InputError
from probe.datasets._stored import last_of_each_class


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=6, max_size=60).map(np.array),
    parts=st.integers(2, 8),
)
def test_every_sample_is_in_one_part_and_every_class_gives_its_share(labels, parts):
    train, test = last_of_each_class(labels, parts=parts)  # six samples of five classes: one class has two
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    for label in np.unique(labels):
        n = np.count_nonzero(labels == label)
        n_test = np.count_nonzero(labels[test] == label)
        assert n_test == (max(n // parts, 1) if n > 1 else 0)
        if n > 1:
            last_training = train[labels[train] == label].max()
            assert (test[labels[test] == label] > last_training).all()


def test_a_test_set_needs_a_class_with_two_samples():
    with pytest.raises(InputError, match="no class has two images"):
        last_of_each_class(np.arange(5), parts=6)
