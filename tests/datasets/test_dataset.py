import copy
import pickle
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe._checks import InputError
from probe.datasets import Dataset, Split

NAMES = ("a", "b", "c")


def images(n=6, shape=(4, 5), seed=0):
    return np.random.default_rng(seed).random((n, *shape), dtype=np.float32)


def byte_images(n=6, shape=(4, 5), seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (n, *shape))
    return (levels / 255).astype(np.float32)


def dataset(pixels=None, labels=(0, 1, 2, 0, 1, 2)):
    return Dataset(images() if pixels is None else pixels, np.array(labels), NAMES)


def test_sizes_describe_the_data():
    data = dataset(images(shape=(4, 5, 3)))
    assert (len(data), data.n_samples, data.image_shape, data.n_classes) == (6, 6, (4, 5, 3), 3)
    assert repr(data) == "Dataset(6 images of 4 x 5 x 3, 3 classes)"


def test_arrays_are_read_only_and_the_callers_arrays_stay_writable():
    pixels = images()
    data = dataset(pixels)
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 0
    pixels[0] = 0.5


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_a_copy_holds_the_same_and_stays_read_only(clone):
    data = dataset()
    copied = clone(data)
    assert copied.fingerprint == data.fingerprint
    assert copied.class_names == NAMES
    assert not copied.images.flags.writeable
    assert not copied.labels.flags.writeable


def test_labels_of_any_integer_type_become_int64():
    assert Dataset(images(), np.zeros(6, np.uint8), NAMES).labels.dtype == np.int64


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (images() * 255, r"images must lie in \[0, 1\], got values from .* to 25"),
        (images() - 1, r"images must lie in \[0, 1\], got values from -"),
        (np.full((6, 2, 2), np.nan, np.float32), "images must be finite, but 24 of 24 values are not"),
        (images().astype(np.float64), r"images must be float32, got float64; convert with astype"),
        (np.zeros((6, 2, 2), np.uint8), "images must be float32.* got uint8; divide uint8 pixels by 255"),
        (
            np.zeros((6, 784), np.float32),
            r"images must have shape \(n_samples, height, width\).* got \(6, 784\)",
        ),
        (np.zeros((0, 2, 2), np.float32), "images must hold at least one image"),
        ([[0.0]], "images must be a NumPy array, got list"),
        (np.zeros((6, 3, 32, 32), np.float32), r"\(6, 3, 32, 32\) has 3 channels first; use numpy.moveaxis"),
        (np.zeros((6, 1, 28, 28), np.float32), r"\(6, 1, 28, 28\) has 1 channel first; use numpy.moveaxis"),
        (np.zeros((6, 4, 5, 9), np.float32), r"\(6, 4, 5, 9\) has 4 channels first; use numpy.moveaxis"),
        (np.ma.masked_array(images(), False), "images must be a plain array, got a masked one"),
    ],
)
def test_wrong_images_are_refused(pixels, message):
    with pytest.raises(InputError, match=message):
        Dataset(pixels, np.zeros(6, np.int64), NAMES)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 2, 0, 1, 3]), r"labels must lie in \[0, 3\) for 3 classes, got 3"),
        (np.array([0, 1, 2, 0, 1, -1]), r"labels must lie in \[0, 3\) for 3 classes, got -1"),
        (np.zeros(5, np.int64), r"labels must have shape \(6,\), one for each image, got \(5,\)"),
        (np.zeros(6), r"labels must be integers in \[0, 3\), got float64"),
        ([0] * 6, "labels must be a NumPy array, got list"),
        (
            np.full(6, 2**63 + 5, np.uint64),
            r"labels must lie in \[0, 3\) for 3 classes, got 9223372036854775813",
        ),
        (np.ma.masked_array(np.zeros(6, int), True), "labels must be a plain array, got a masked one"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        Dataset(images(), labels, NAMES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b", "a"), "class_names must be distinct, but 'a' occurs 2 times"),
        (["a", "b", "c"], "class_names must be a tuple of strings"),
        ((), "class_names must be a tuple of strings, one for each class, got none"),
        (("a", "b", "c\ud800"), "the name of class 2, 'c.ud800', has characters that cannot be printed"),
        ((0, 1, 2), "class_names must be a tuple of strings"),
    ],
)
def test_wrong_class_names_are_refused(names, message):
    with pytest.raises(InputError, match=message):
        Dataset(images(), np.zeros(6, np.int64), names)


@pytest.mark.parametrize(
    "shape", [(3, 32, 3), (32, 3, 32), (1, 9, 1), (4, 9, 4), (3, 4, 9), (2, 9, 9), (5, 9, 9)]
)
def test_shapes_that_may_have_their_channels_last_are_taken(shape):
    assert Dataset(np.zeros((6, *shape), np.float32), np.zeros(6, int), NAMES).image_shape == shape


def test_take_keeps_the_order_asked_for():
    data = dataset()
    taken = data.take([4, 0, 4])
    assert np.array_equal(taken.images, data.images[[4, 0, 4]])
    assert taken.labels.tolist() == [1, 0, 1]
    assert data.take(slice(2)).labels.tolist() == [0, 1]


def test_a_sample_is_drawn_once_each_and_keeps_the_order():
    data = dataset()
    drawn = data.sample(4, rng=np.random.default_rng(3))
    rows = np.sort(np.random.default_rng(3).choice(6, 4, replace=False))
    assert len(set(rows)) == 4
    np.testing.assert_array_equal(drawn.images, data.images[rows])
    np.testing.assert_array_equal(data.sample(6, rng=np.random.default_rng(3)).images, data.images)


@pytest.mark.parametrize("n", [0, 7, 2.0])
def test_a_sample_of_none_or_of_more_than_there_are_is_refused(n):
    with pytest.raises(InputError, match=f"n must be an integer from 1 to 6, got {n}"):
        dataset().sample(n, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([0, 6], r"samples must lie in \[0, 6\), got 6"),
        ([-1], r"samples must lie in \[0, 6\), got -1"),
        ([], "at least one integer index"),
        ([0.0], "at least one integer index, got float64"),
        (np.ones(6, bool), "got a mask; pass np.flatnonzero"),
        (slice(0, 0), "at least one image"),
    ],
)
def test_wrong_samples_are_refused(samples, message):
    with pytest.raises(InputError, match=message):
        dataset().take(samples)


def test_with_labels_shares_the_images():
    data = dataset()
    other = data.with_labels(np.array([2, 2, 2, 1, 1, 1]))
    assert np.shares_memory(other.images, data.images)
    assert other.labels.tolist() == [2, 2, 2, 1, 1, 1]
    with pytest.raises(InputError, match="labels must have shape"):
        data.with_labels(np.array([0]))


@pytest.mark.parametrize("make", [images, byte_images])
def test_fingerprint_tells_every_change(make):
    pixels = make()
    prints = {
        dataset(pixels).fingerprint,
        dataset(make(seed=1)).fingerprint,
        dataset(pixels[::-1]).fingerprint,
        dataset(pixels.reshape(6, 5, 4)).fingerprint,
        dataset(pixels.reshape(6, 4, 5, 1)).fingerprint,
        dataset(pixels, labels=(0, 1, 2, 0, 2, 1)).fingerprint,
    }
    assert len(prints) == 6
    assert all(len(text) == 64 for text in prints)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), make=st.sampled_from([images, byte_images]))
def test_fingerprint_does_not_depend_on_memory_layout_or_label_type(seed, make):
    pixels = make(seed=seed)
    strided = np.asfortranarray(pixels)
    first = dataset(pixels).fingerprint
    assert dataset(strided).fingerprint == first
    assert Dataset(pixels, np.array([0, 1, 2, 0, 1, 2], np.uint8), NAMES).fingerprint == first


def test_fingerprint_of_many_blocks_sees_the_last_image():
    pixels = byte_images(n=3000, shape=(2, 2))
    changed = pixels.copy()
    changed[-1, -1, -1] = 0.123
    labels = np.zeros(3000, np.int64)
    assert Dataset(pixels, labels, NAMES).fingerprint != Dataset(changed, labels, NAMES).fingerprint


@pytest.mark.parametrize(
    ("level", "encoding", "pixels"),
    [(1.0, "k/255", b"\xff" * 4), (0.3001, "<f4", np.full(4, 0.3001, "<f4").tobytes())],
)
def test_fingerprint_is_computed_as_documented(level, encoding, pixels):
    # Result files hold fingerprints: a change of the scheme must come with a new header.
    data = Dataset(np.full((1, 2, 2), level, np.float32), np.array([1]), ("zero", "one"))
    header = f"probe dataset 1: images (1, 2, 2) {encoding}, labels (1,) <i8\n".encode()
    label = (1).to_bytes(8, "little")
    expected = sha256(header + sha256(pixels).digest() + sha256(label).digest())
    assert data.fingerprint == expected.hexdigest()


def test_split_fingerprint_depends_on_which_part_is_which():
    one, two = dataset(), dataset(images(seed=1))
    assert Split(one, two, "x").fingerprint != Split(two, one, "x").fingerprint
    assert Split(one, two, "x").fingerprint == Split(one, two, "y").fingerprint


def test_split_parts_must_belong_together():
    one = dataset()
    with pytest.raises(InputError, match=r"test images must have the shape .* \(4, 5\), got \(5, 5\)"):
        Split(one, dataset(images(shape=(5, 5))), "x")
    renamed = Dataset(one.images, one.labels, ("x", "y", "z"))
    with pytest.raises(InputError, match="test data must have the class names of the training data"):
        Split(one, renamed, "x")
    for name in ("", "a\x1b[2J", None):
        with pytest.raises(InputError, match="name must be a non-empty string"):
            Split(one, one, name)
    with pytest.raises(InputError, match="test must be a Dataset, got ndarray"):
        Split(one, one.images, "x")
