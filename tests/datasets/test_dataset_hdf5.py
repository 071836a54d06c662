import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from probe._checks import DataFileError
from probe.datasets import load_dataset

LABELS = np.array([0, 0, 1, 1])
PIXELS = np.zeros((4, 3, 3), np.uint8)


def write(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return path


def refusal(path):
    with pytest.raises(DataFileError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@settings(deadline=None)
@given(
    levels=hnp.arrays(
        np.uint8, st.tuples(st.integers(4, 9), st.integers(1, 4), st.integers(1, 4)) | st.just((5, 2, 3, 3))
    ),
    dtype=st.sampled_from([np.uint8, np.float16, np.float32, np.float64, ">f4"]),
)
def test_what_is_stored_is_what_is_loaded(tmp_path_factory, levels, dtype):
    stored = levels if dtype == np.uint8 else (levels / 255).astype(dtype)
    expected = (
        (levels / np.float32(255)).astype(np.float32) if dtype == np.uint8 else stored.astype(np.float32)
    )
    labels = np.arange(len(levels)) % 2
    path = write(
        tmp_path_factory.mktemp("h5") / "own.h5",
        images=stored,
        labels=labels,
        test_images=stored,
        test_labels=labels,
    )
    split = load_dataset(path)
    for part in (split.train, split.test):
        assert np.array_equal(part.images, expected)
        assert np.array_equal(part.labels, labels)
    assert split.name == "own"
    assert split.train.class_names == ("0", "1")


def test_without_a_test_set_the_last_sixth_of_each_class_is_one(tmp_path):
    labels = np.repeat([0, 1, 2], 12)
    images = np.repeat(np.arange(36, dtype=np.uint8), 4).reshape(36, 2, 2)
    split = load_dataset(write(tmp_path / "own.h5", images=images, labels=labels))
    assert (split.test.images[:, 0, 0] * 255).round().tolist() == [10, 11, 22, 23, 34, 35]
    assert len(split.train) == 30


@pytest.mark.parametrize("where", ["array", "attribute"])
def test_class_names_may_stand_in_an_array_or_an_attribute(tmp_path, where):
    path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS)
    with h5py.File(path, "a") as file:
        if where == "array":
            file["class_names"] = np.char.encode(["cat", "dög"])
        else:
            file.attrs["class_names"] = np.char.encode(["cat", "dög"])
    assert load_dataset(path).train.class_names == ("cat", "dög")


@pytest.mark.parametrize(
    ("names", "in_array", "in_attribute"),
    [
        (np.arange(2), "/class_names holds int64, expected strings", "'class_names' of / is no text"),
        (
            b"a",
            "/class_names has shape (), expected a list",
            "'class_names' of / has shape (), expected a list",
        ),
    ],
)
def test_class_names_that_are_no_list_of_strings_are_refused(tmp_path, names, in_array, in_attribute):
    path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS, class_names=names)
    assert in_array in refusal(path)
    with h5py.File(path, "a") as file:
        del file["class_names"]
        file.attrs["class_names"] = names
    assert in_attribute in refusal(path)


def test_class_names_of_variable_length_are_read(tmp_path):
    path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS, class_names=["cat", "dög"])
    assert load_dataset(path).train.class_names == ("cat", "dög")
    with h5py.File(path, "a") as file:
        del file["class_names"]
        file.attrs["class_names"] = ["cat", "dög"]
    assert load_dataset(path).train.class_names == ("cat", "dög")


def test_class_names_that_are_no_text_are_refused(tmp_path):
    path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS, class_names=np.array([b"\xff", b"a"]))
    assert "class_names is no UTF-8 text" in refusal(path)


def test_the_suffix_does_not_matter(tmp_path):
    assert len(load_dataset(write(tmp_path / "own.npz", images=PIXELS, labels=LABELS)).train) == 2


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS)
    whole = path.read_bytes()
    for length in (600, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "it was cut off" in refusal(path)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_refused_or_read_but_never_raises_anything_else(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "own.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=rng.integers(0, 255, (20, 8, 8), np.uint8), compression="gzip")
        file["labels"] = np.arange(20) % 2
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    spots = rng.integers(8, len(content), 40)
    content[spots] = rng.integers(0, 256, 40)
    path.write_bytes(content.tobytes())
    try:
        load_dataset(path)
    except DataFileError as error:
        assert "\n" not in str(error)


def test_other_contents_are_refused_and_listed(tmp_path):
    path = write(tmp_path / "own.h5", model_weights=np.zeros(2), x=np.zeros(2))
    assert "expected images and labels" in refusal(path)
    assert "found 'model_weights', 'x'" in refusal(path)
    assert "found nothing" in refusal(write(tmp_path / "nothing.h5"))
    many = write(tmp_path / "many.h5", **{f"array_{k:02}": 0 for k in range(30)})
    assert "'array_09' and 20 more" in refusal(many)


def test_half_a_test_set_is_refused(tmp_path):
    path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS, test_images=PIXELS)
    assert "must come together; found only test_images" in refusal(path)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((4, 3, 3), 200.0), "uint8, or float in [0, 1], got float64 from 200 to 200; divide them by 255"),
        (np.full((4, 3, 3), 7), "got int64 from 7 to 7; divide them by 255 first"),
        (np.zeros((4, 3, 3), np.int8), "got int8 from 0 to 0; scale them to [0, 1] first"),
        (np.full((4, 3, 3), -0.5), "got float64 from -0.5 to -0.5; scale them to [0, 1] first"),
        (np.full((4, 3, 3), np.nan), "got float64 from nan to nan"),
        (np.zeros((4, 3, 3), bool), "images holds bool, expected float"),
        (np.zeros((4, 3, 3), complex), "images holds compound values, expected float"),
        (np.zeros((4, 9), np.uint8), "images must have shape (n_samples, height, width)"),
        (np.zeros((0, 3, 3), np.uint8), "images must hold at least one image"),
        (np.zeros((0, 3, 3)), "store at least one image"),
        (np.zeros((3, 3, 3), np.uint8), "labels must have shape (3,), one for each image, got (4,)"),
    ],
)  # fmt: skip
def test_wrong_images_in_a_file_are_refused(tmp_path, images, message):
    assert message in refusal(write(tmp_path / "own.h5", images=images, labels=LABELS))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 1, 1, 0]), "labels must be integers, got float64"),
        (np.array([-1, 1, 1, 0]), "labels must lie in [0, 2) for 2 classes, got -1"),
        (np.array([0, 1, 1, 10**12]), "more than 1000 classes need class_names"),
        (np.eye(4, dtype=int), "store labels.argmax(axis=1) if they are one-hot"),
        (np.zeros((4, 2, 1), int), "got (4, 2, 1); store labels.argmax(axis=1) if"),
        (np.arange(4), "no class has two images"),
        (np.int64(1), "labels must have shape (4,), one for each image, got ()"),
        (np.zeros(0, int), "labels must hold at least one label"),
    ],
)
def test_wrong_labels_in_a_file_are_refused(tmp_path, labels, message):
    assert message in refusal(write(tmp_path / "own.h5", images=PIXELS, labels=labels))


def test_the_message_tells_a_wrong_test_set_from_a_wrong_training_set(tmp_path):
    path = write(
        tmp_path / "own.h5", images=PIXELS, labels=LABELS, test_images=PIXELS, test_labels=LABELS[:3]
    )
    assert "test labels must have shape (4,)" in refusal(path)


def test_links_and_arrays_in_other_files_are_not_followed(tmp_path):
    secret = write(tmp_path / "secret.h5", images=PIXELS)
    (tmp_path / "secret.raw").write_bytes(bytes(36))
    kinds = {
        "soft": lambda file: file.__setitem__("images", h5py.SoftLink("/elsewhere")),
        "external link": lambda file: file.__setitem__("images", h5py.ExternalLink(str(secret), "/images")),
        "external storage": lambda file: file.create_dataset(
            "images", (4, 3, 3), np.uint8, external=[(str(tmp_path / "secret.raw"), 0, 36)]
        ),
        "virtual": lambda file: file.create_virtual_dataset("images", virtual(secret)),
    }
    for kind, add in kinds.items():
        path = tmp_path / "own.h5"
        with h5py.File(path, "w") as file:
            file["elsewhere"] = PIXELS
            file["labels"] = LABELS
            add(file)
        expected = {
            "external storage": "keeps its data in another file",
            "virtual": "is put together from other data sets",
        }.get(kind, "is a link to another place or file")
        assert expected in refusal(path), kind


def test_class_names_behind_a_link_are_not_followed(tmp_path):
    secret = write(tmp_path / "secret.h5", names=np.array([b"a", b"b"]))
    for link in (h5py.ExternalLink(str(secret), "/names"), h5py.SoftLink("/nowhere")):
        path = write(tmp_path / "own.h5", images=PIXELS, labels=LABELS, class_names=link)
        assert "class_names is a link" in refusal(path)


def virtual(secret):
    layout = h5py.VirtualLayout((4, 3, 3), np.uint8)
    layout[:] = h5py.VirtualSource(str(secret), "images", (4, 3, 3))
    return layout


def test_a_huge_promise_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (2**20, 1000, 1000), np.uint8, chunks=(1, 1000, 1000))
        file["labels"] = LABELS
    assert path.stat().st_size < 2**20
    assert (
        "images (3,906.2 GiB in memory) of shape (1048576, 1000, 1000) is chunked uint8, and only"
        in refusal(path)
    )
    with pytest.raises(DataFileError, match=r"would take 3906\.2 GiB of memory, more than the 4 GiB allowed"):
        load_dataset(path, images_in="memory")


def test_a_group_or_an_empty_dataspace_is_no_array(tmp_path):
    path = write(tmp_path / "own.h5", labels=LABELS)
    with h5py.File(path, "a") as file:
        file.create_group("images")
    assert "images is a group, expected a dataset" in refusal(path)
    path = write(tmp_path / "own.h5", labels=LABELS, images=h5py.Empty("u1"))
    assert "images is empty" in refusal(path)


@pytest.mark.parametrize(
    "kind", [h5py.string_dtype(), h5py.string_dtype(length=4), h5py.string_dtype("ascii", 4)]
)
def test_labels_may_be_names_which_are_sorted(tmp_path, kind):
    labels = np.array([b"dog", b"cat", b"dog", b"cat"]).astype(kind)
    split = load_dataset(write(tmp_path / "own.h5", images=PIXELS, labels=labels))
    assert split.train.class_names == ("cat", "dog")
    assert split.train.labels.tolist() + split.test.labels.tolist() == [1, 0, 1, 0]
    path = write(tmp_path / "own.h5", images=labels, labels=labels)
    assert "images holds" in refusal(path)


def test_as_many_names_as_there_are_images_are_read(tmp_path):
    n = 60_000
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["images"] = np.zeros((n, 2, 2), np.uint8)
        file["labels"] = np.array(["cat", "dög"] * (n // 2), dtype=h5py.string_dtype())
    assert len(load_dataset(tmp_path / "own.h5").train) == n // 6 * 5
