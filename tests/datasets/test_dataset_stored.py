"""Checks that all formats share; here on NPZ, which needs the fewest lines."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from probe._checks import DataFileError, InputError, ProbeWarning
from probe.datasets import Split, load_dataset
from probe.datasets._stored import last_of_each_class

PIXELS = np.zeros((12, 5, 5), np.uint8)


def load(tmp_path, labels, **more):
    np.savez(tmp_path / "own.npz", images=PIXELS[: len(np.atleast_1d(labels))], labels=labels, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_dataset(tmp_path / "own.npz")


def refusal(tmp_path, labels, **more):
    with pytest.raises(DataFileError) as caught:
        load(tmp_path, labels, **more)
    assert str(caught.value).isprintable()
    return str(caught.value).partition("own.npz: ")[2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.arange(12) % 2 * 5 + 3,
            "labels are 3, 8; without class_names they must be 0 to n - 1, and 7 classes, the first 0, would have "
            "no image. Store numpy.searchsorted([3, 8], labels), for the test set too; or name all 9 classes in "
            "class_names (HDF5, NPZ)",
        ),
        (
            np.arange(12) % 3 + 1,
            "labels are 1, 2, 3; without class_names they must be 0 to n - 1, and class 0 would have no image. "
            "Store labels - 1, for the test set too; or name all 4 classes in "
            "class_names (HDF5, NPZ)",
        ),
        (np.arange(12) + 1, "labels are 1 to 12; without"),
        (np.arange(12) % 6 + 900 + np.arange(12) % 6 // 5, "name all 907 classes in class_names (HDF5, NPZ)"),
        (
            np.arange(12) * 2,
            "Store numpy.searchsorted(numpy.unique(all_labels), labels), for the test set too",
        ),
        (np.array([0, 1, 1, 255], np.uint8), "numpy.searchsorted([0, 1, 255], labels)"),
        (np.full(12, 2**63 + 5, np.uint64), "labels go up to 9223372036854775813; more than 1000 classes"),
        (
            np.arange(12) - 1,
            "labels must lie in [0, 11) for 11 classes, got -1; leave images without a class out",
        ),
        (np.full(12, -(2**63)), "labels must lie in [0, 1) for 1 classes, got -9223372036854775808"),
        (np.zeros(12, bool), "labels must hold numbers, got bool"),
        (np.zeros(12), "labels must be integers, got float64"),
        (np.full(12, np.nan), "labels must be integers, got float64"),
        (np.eye(12, dtype=int), "store labels.argmax(axis=1) if they are one-hot"),
        (np.zeros(0, int), "labels must hold at least one label, got shape (0,)"),
        (np.zeros((0, 3), int), "labels must have shape (n_samples,), got (0, 3)"),
        (np.int64(1), "labels must have shape (1,), one for each image, got ()"),
        (np.array([["a"]] * 12), "labels must be one row of fixed-length strings"),
    ],
)
def test_labels_that_would_make_classes_without_images_are_refused(tmp_path, labels, message):
    assert message in refusal(tmp_path, labels)


def test_what_the_message_says_to_store_is_read(tmp_path):
    labels = np.arange(12) % 2 * 5 + 3
    split = load(tmp_path, np.searchsorted([3, 8], labels), class_names=["3", "8"])
    assert split.train.class_names == ("3", "8")
    assert np.bincount(split.train.labels).tolist() == [5, 5]


def test_with_names_classes_need_no_images(tmp_path):
    split = load(tmp_path, np.arange(12) % 2 + 1, class_names=list("abcd"))
    assert split.train.class_names == ("a", "b", "c", "d")
    assert set(split.train.labels.tolist()) == {1, 2}
    assert "labels must be integers, got float64" in refusal(tmp_path, np.zeros(12), class_names=list("ab"))
    assert "labels must lie in [0, 2)" in refusal(tmp_path, np.arange(12) % 3, class_names=list("ab"))


def test_a_class_may_occur_in_one_part_only(tmp_path):
    parts = {"test_images": PIXELS[:2], "test_labels": np.array([0, 2])}
    assert load(tmp_path, np.array([0, 1, 1]), **parts).test.class_names == ("0", "1", "2")
    parts["test_labels"] = np.array([0, 4])
    assert "labels are 0, 1, 4; without" in refusal(tmp_path, np.array([0, 1, 1]), **parts)


@pytest.mark.parametrize("shape", [(4, 3, 32, 32), (4, 1, 28, 28), (4, 4, 9, 7)])
def test_channels_that_come_first_are_refused_with_what_to_store(tmp_path, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=[0, 0, 1, 1])
    with pytest.raises(DataFileError, match=r"first; use numpy.moveaxis\(images, 1, -1\)"):
        load_dataset(tmp_path / "own.npz")
    np.savez(tmp_path / "own.npz", images=np.moveaxis(images, 1, -1), labels=[0, 0, 1, 1])
    loaded = load_dataset(tmp_path / "own.npz").train.images
    assert np.array_equal(loaded[0, 2, 1], images[0, :, 2, 1] / np.float32(255))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused_with_the_reason(tmp_path, value):
    images = np.zeros((4, 3, 3))
    images[1, 1, 1] = value
    np.savez(tmp_path / "own.npz", images=images, labels=[0, 0, 1, 1])
    for pixel_range in ((0, 1), (-1, 1)):
        with pytest.raises(DataFileError, match="replace the pixels that are NaN or infinite first"):
            load_dataset(tmp_path / "own.npz", pixel_range=pixel_range)


@pytest.mark.parametrize(
    ("pixel_range", "message"),
    [
        (5, r"pixel_range must be two numbers, \(low, high\), got 5"),
        ((0, 1, 2), "pixel_range must be two numbers"),
        ("01", "pixel_range must be two numbers"),
        ((0, np.nan), "pixel_range must be a finite number"),
        ((1, 0), "pixel_range must be from low to high, got 1 to 0"),
        ((-1e308, 1e308), "is too wide for any pixel"),
    ],
)
def test_ranges_that_no_pixel_has_are_refused(pixel_range, message):
    with pytest.raises(InputError, match=message):
        load_dataset("digits", pixel_range=pixel_range)


def test_messages_are_cut_and_printable(tmp_path):
    np.savez(tmp_path / "own.npz", **{f"{'x' * 200}{k}": PIXELS for k in range(50)})
    with pytest.raises(DataFileError) as caught:
        load_dataset(tmp_path / "own.npz")
    assert len(str(caught.value)) < 300 + len(str(tmp_path)) + 20
    folder = tmp_path / "a\x1b[2J"
    folder.mkdir()
    with pytest.raises(DataFileError) as caught:
        load_dataset(folder)
    assert str(caught.value).isprintable()


ANY_TYPE = st.one_of(
    hnp.scalar_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
    st.just(np.dtype(np.longdouble)),
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)
ANY_ARRAY = hnp.arrays(ANY_TYPE, SHAPES)
LIKELY_IMAGES = hnp.arrays(
    st.sampled_from([np.uint8, np.float32, np.float64, np.float16]), st.tuples(*[st.integers(0, 5)] * 3)
)
LIKELY_LABELS = hnp.arrays(
    st.sampled_from([np.uint8, np.int64, np.uint64]), st.integers(0, 5), elements=st.integers(0, 3)
)


@settings(deadline=None, max_examples=150)
@given(
    images=ANY_ARRAY | LIKELY_IMAGES,
    labels=ANY_ARRAY | LIKELY_LABELS,
    test=st.none() | st.tuples(ANY_ARRAY | LIKELY_IMAGES, ANY_ARRAY | LIKELY_LABELS),
    names=st.none() | ANY_ARRAY | st.just(np.array(list("abcd"))),
    pixel_range=st.sampled_from([(0, 1), (-1, 1), (-1e300, 1e300)]),
)
def test_any_arrays_are_loaded_or_refused_without_warnings(
    tmp_path_factory, images, labels, test, names, pixel_range
):
    arrays = {"images": images, "labels": labels, "class_names": names}
    arrays |= {} if test is None else {"test_images": test[0], "test_labels": test[1]}
    path = tmp_path_factory.mktemp("any") / "own.npz"
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            split = load_dataset(path, pixel_range=pixel_range)
        except DataFileError as error:
            assert str(error).isprintable()
        else:
            assert isinstance(split, Split)
            assert float(split.train.images.min()) >= 0
            assert float(split.train.images.max()) <= 1


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


def test_a_column_of_labels_is_a_row(tmp_path):
    """So has Keras' CIFAR-10 them, in uint8, beside images (n, 32, 32, 3)."""
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    labels = (np.arange(12) % 3).astype(np.uint8)[:, None]
    np.savez(tmp_path / "cifar10.npz", x_train=images, y_train=labels, x_test=images[:3], y_test=labels[:3])
    names = ("airplane", "automobile", "bird")
    split = load_dataset(tmp_path / "cifar10.npz", class_names=names)
    assert split.train.labels.tolist() == [0, 1, 2] * 4
    assert split.test.class_names == names
    assert split.train.image_shape == (32, 32, 3)


def test_medmnist_is_read_without_its_validation_set(tmp_path):
    parts = {"train": PIXELS, "val": PIXELS[:3], "test": PIXELS[:4]}
    arrays = {f"{part}_images": images for part, images in parts.items()}
    arrays |= {f"{part}_labels": (np.arange(len(images)) % 2)[:, None] for part, images in parts.items()}
    np.savez(tmp_path / "pathmnist.npz", **arrays)
    said = "val_images and val_labels are left out: networks are trained on train_images and tested on test_images"
    with pytest.warns(ProbeWarning, match=said) as caught:
        split = load_dataset(tmp_path / "pathmnist.npz")
    assert caught[0].filename == __file__
    assert (len(split.train), len(split.test)) == (12, 4)
    assert split.train.labels.tolist() == [0, 1] * 6
    arrays["train_labels"] = np.zeros((12, 14), np.uint8)
    np.savez(tmp_path / "chestmnist.npz", **arrays)
    with pytest.raises(
        DataFileError, match=r"argmax\(axis=1\) if they are one-hot. An image can have one class only"
    ):
        load_dataset(tmp_path / "chestmnist.npz")
    np.savez(tmp_path / "both.npz", **arrays, images=PIXELS, labels=np.zeros(12, int))
    with pytest.raises(DataFileError, match="both images and train_images are there, and which is meant"):
        load_dataset(tmp_path / "both.npz")


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_may_be_names_which_are_sorted(tmp_path, kind):
    labels = np.char.encode(["dög", "Cat", "cat"] * 4) if kind == "S" else np.array(["dög", "Cat", "cat"] * 4)
    split = load(tmp_path, labels, test_images=PIXELS[:2], test_labels=labels[:2])
    assert split.train.class_names == ("Cat", "cat", "dög")
    assert split.train.labels.tolist() == [2, 0, 1] * 4
    assert split.test.labels.tolist() == [2, 0]


def test_names_of_labels_are_looked_up_in_class_names(tmp_path):
    labels = np.array(["b", "a"] * 6)
    split = load(tmp_path, labels, class_names=["a", "c", "b"])
    assert split.train.class_names == ("a", "c", "b")
    assert split.train.labels[:2].tolist() == [2, 0]
    assert "labels must name classes that class_names has, but 'b' are not among them" in refusal(
        tmp_path, labels, class_names=["a", "c"]
    )
    assert "test_labels must be names of classes as the other labels are, got int64" in refusal(
        tmp_path, labels, test_images=PIXELS[:2], test_labels=[0, 1]
    )
    assert "class 0, '', is empty" in refusal(tmp_path, np.array(["", "a"] * 6))
    assert "got <U1 of shape (6, 2)" in refusal(tmp_path, labels.reshape(6, 2))


def test_too_many_names_are_no_classes(tmp_path):
    images, labels = np.zeros((1200, 1, 1), np.uint8), np.arange(1200).astype(str)
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    with pytest.raises(
        DataFileError, match="labels name 1200 classes; more than 1000 need class_names in the file"
    ):
        load_dataset(tmp_path / "own.npz")


def test_numbers_are_named_in_their_order(tmp_path):
    np.savez(tmp_path / "own.npz", images=PIXELS, labels=np.arange(12) % 2)
    path = tmp_path / "own.npz"
    assert load_dataset(path, class_names=["cat", "dog", "no image"]).train.class_names == (
        "cat",
        "dog",
        "no image",
    )
    with pytest.raises(DataFileError, match=r"labels must lie in \[0, 1\) for 1 classes, got 1"):
        load_dataset(path, class_names=["cat"])
    digits = load_dataset("digits", class_names=["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]).train
    assert np.array_equal(9 - digits.labels, load_dataset("digits").train.labels)
