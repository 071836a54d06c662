import socket
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from probe._checks import DataFileError, InputError
from probe.datasets import load_dataset

N = 42


def table(n_features=16, high=255.0, target=None):
    data = np.random.default_rng(0).integers(0, 255, (N, n_features)) * (high / 255)
    data[0, 0] = high
    return SimpleNamespace(
        data=data, target=np.array(["9", "10", "1"] * (N // 3)) if target is None else target
    )


@pytest.fixture
def openml(monkeypatch):
    def serve(answer):
        def fetch_openml(name, *, as_frame, parser, n_retries, delay):
            assert (name, as_frame, parser) == ("some-set", False, "liac-arff")
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)

    return serve


def refusal():
    with pytest.raises(DataFileError, match="openml:some-set") as caught:
        load_dataset("openml:some-set")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_table_of_square_images_becomes_a_split(openml):
    answer = table()
    openml(answer)
    split = load_dataset("openml:some-set")
    assert split.name == "openml:some-set"
    assert split.train.image_shape == (4, 4)
    assert split.train.class_names == ("1", "9", "10")
    assert np.bincount(split.test.labels).tolist() == [2, 2, 2]  # 14 of each class, a seventh
    assert np.array_equal(split.train.images[0], (answer.data[0].reshape(4, 4) / 255).astype(np.float32))
    assert split.train.labels[:3].tolist() == [1, 2, 0]


def test_pixels_that_lie_in_the_unit_interval_stay_as_they_are(openml):
    answer = table(high=1.0)
    openml(answer)
    assert np.array_equal(
        load_dataset("openml:some-set").train.images[0].ravel(), answer.data[0].astype(np.float32)
    )


def test_classes_may_be_words_or_whole_numbers(openml):
    openml(table(target=np.array(["shirt", "bag"] * (N // 2), dtype=object)))
    assert load_dataset("openml:some-set").train.class_names == ("bag", "shirt")
    openml(table(target=np.array([2.0, 11.0] * (N // 2))))
    assert load_dataset("openml:some-set").train.class_names == ("2", "11")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (table(n_features=15), "15 features are no square gray image"),
        (table(n_features=3072), "whether the channels of a color image come first or last"),
        (table(high=16.0), "pixels must lie in [0, 1] or reach from 0 to 255, got 0 to 16"),
        (SimpleNamespace(data=table().data - 1, target=table().target), "got -1 to 254"),
        (SimpleNamespace(data=np.full((N, 4), np.nan), target=table().target), "got nan to nan"),
        (SimpleNamespace(data="sparse", target=None), "must be a dense table of numbers"),
        (SimpleNamespace(data=table().data, target=None), "must have one target column"),
        (table(target=np.linspace(0, 1, N)), "must have classes as its target, got fractions"),
        (table(target=np.zeros((N, 2))), "must have one target column"),
        (
            table(target=np.array([0.0, np.inf] * (N // 2))),
            "must have a class for each image, got targets that are NaN",
        ),
        (table(target=np.array(["a", None] * (N // 2))), "the target of number 1 is None"),
        (table(target=np.array(["a", "b" * 300] * (N // 2), dtype=object)), "got one of 300 letters"),
        (table(target=np.array(["a", 10**30] * (N // 2), dtype=object)), "the target of number 1 is 1000"),
        (
            table(target=np.array(["a", "b\x1b[2J"] * (N // 2))),
            "'b\\x1b[2J', has characters that cannot be printed",
        ),
        (table(target=np.array(["", "b"] * (N // 2))), "the name of class 0, '', is empty"),
        (table(target=np.zeros(N, complex)), "must have classes as its target, got complex128"),
        (table(target=np.zeros(N - 1)), "labels must have shape (42,), one for each image, got (41,)"),
        (SimpleNamespace(data=np.zeros((N, 4), np.longdouble), target=table().target), "of at most 64 bits"),
        (
            SimpleNamespace(data=np.broadcast_to(0.0, (N, 2**28)), target=table().target),
            "more than the 4 GiB",
        ),
    ],
)
def test_tables_that_are_no_images_with_classes_are_refused(openml, answer, message):
    openml(answer)
    assert message in refusal()


def test_an_unknown_name_is_reported_with_what_openml_says(openml):
    openml(ValueError("No known\ndataset found."))
    assert "cannot be had from openml.org: No known dataset found. See https://www.openml.org" in refusal()


def test_without_the_network_it_fails_at_once_and_says_what_to_do(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        message = refusal()
    assert time.monotonic() - started < 5
    assert "openml.org cannot be reached" in message
    assert "Connect to the network and try again, or pass 'mnist', 'digits' or a file" in message


def test_an_empty_name_is_refused():
    with pytest.raises(InputError, match="openml: must be followed by the name"):
        load_dataset("openml:")
