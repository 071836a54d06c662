"""Folders of pictures: what is read, as it looks, and what is refused."""

import io
import os
import struct
import time
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

import probe
from probe._checks import DataFileError, InputError, ProbeWarning
from probe.datasets import _folders, _pictures, load_dataset, resized

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 5), np.uint8)
COLOR = RNG.integers(0, 256, (6, 5, 3), np.uint8)


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def save(path, levels=COLOR, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path, **options)
    return path


def folders(root, n=6, classes=("cat", "dog"), levels=COLOR):
    for name in classes:
        for index in range(n):
            save(root / name / f"{index}.png", levels)
    return root


def loaded(root, **options):
    return load_dataset(root, **options)


def refusal(root, **options):
    with pytest.raises(DataFileError) as caught:
        load_dataset(root, **options)
    message = str(caught.value)
    assert message.isprintable() and str(root) in message
    return message.partition(f"{root}")[2].removeprefix(": ").removeprefix(" cannot be read: ")


def test_a_folder_for_each_class_is_a_split(tmp_path):
    levels = RNG.integers(0, 256, (2, 12, 6, 5, 3), np.uint8)
    for label, name in enumerate(("Blåbär $x^2$", "a dog, or so")):
        for index in range(12):
            save(tmp_path / name / f"{index:02}.png", levels[label, index])
    (tmp_path / "README.txt").write_text("not looked at")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    split = loaded(tmp_path)
    assert split.train.class_names == ("Blåbär $x^2$", "a dog, or so")
    assert split.name == tmp_path.name
    # The last sixth of each class is the test set, and the first images are of all classes.
    assert split.train.labels.tolist() == [0, 1] * 10
    assert split.test.labels.tolist() == [0, 1] * 2
    assert np.array_equal(split.train.images[::2], levels[0, :10] / np.float32(255))
    assert np.array_equal(split.test.images[1::2], levels[1, 10:] / np.float32(255))


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val"), ("Training", "testing")])
def test_parts_are_as_given(tmp_path, parts):
    for part, n in zip(parts, (3, 2), strict=True):
        folders(tmp_path / part, n)
    split = loaded(tmp_path)
    assert (len(split.train), len(split.test)) == (6, 4)


def test_a_validation_set_beside_a_test_set_is_left_out_and_said(tmp_path):
    for part, n in (("train", 3), ("test", 2), ("val", 1)):
        folders(tmp_path / part, n)
    with pytest.warns(
        ProbeWarning, match="the pictures of 'val' are left out: networks are trained on train and"
    ):
        split = loaded(tmp_path)
    assert (len(split.train), len(split.test)) == (6, 4)


def test_a_class_may_be_called_train(tmp_path):
    assert loaded(folders(tmp_path, classes=("bus", "train", "test"))).train.class_names == (
        "bus",
        "test",
        "train",
    )


def test_classes_of_folders_are_numbered_by_letters_and_those_of_tables_by_numbers(tmp_path):
    names = [str(k) for k in range(12)]
    folders(tmp_path / "folders", 2, classes=names)
    assert loaded(tmp_path / "folders").train.class_names == tuple(sorted(names))
    rows = [f"{name}/{k}.png,{name}\n" for name in names for k in range(2)]
    (tmp_path / "folders" / "labels.csv").write_text("".join(rows))
    assert loaded(tmp_path / "folders").train.class_names == tuple(names)


def table(root, text, n=3):
    for index in range(n):
        save(root / f"{index}.png", np.full((4, 4), index, np.uint8))
    (root / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def test_a_table_says_the_classes(tmp_path):
    text = '\ufefffile,label\r\n1.png,"cat, black"\r\n0.png,dog\r\n\r\n2.png,"cat, black"\r\n'
    split = loaded(table(tmp_path, text))
    assert split.train.class_names == ("cat, black", "dog")
    assert (split.train.images[:, 0, 0] * 255).round().tolist() == [1, 0]
    assert (split.test.images[:, 0, 0] * 255).round().tolist() == [2]


def test_tables_may_be_the_parts(tmp_path):
    table(tmp_path / "a", "", 4)
    (tmp_path / "a" / "labels.csv").unlink()
    (tmp_path / "train.csv").write_text("a/0.png,x\na/1.png,y\n")
    (tmp_path / "test.csv").write_text("a/2.png,y\na/3.png,x\n")
    split = loaded(tmp_path)
    assert split.train.labels.tolist() == [0, 1] and split.test.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv lists no pictures; it must have two columns"),
        ("file,label\n", "labels.csv lists no pictures"),
        (
            "0.png;cat\n",
            "must have two columns, the name of a file and its class, separated by a comma, but row 1 has 1",
        ),
        ("0.png,cat,3\n", "but row 1 has 3: 0.png,cat,3"),
        ("0.png,cat\n9.png,dog\n", "lists '9.png' in row 2, which is not in the folder of the table"),
        ("0.png,cat\n0.png,dog\n", "must list each file once, but '0.png' is there twice"),
        ("0.png,cat\n../0.png,dog\n", "'../0.png'"),
        ("0.png,cat\n/dev/zero,dog\n", "'/dev/zero' in row 2 is a link or leads out of it"),
        ("0.png,cat\nlabels.csv,dog\n", "labels.csv is no picture of a format that is read"),
        (b"0.png,c\xe4t\n", "labels.csv must be text in UTF-8"),
        ('0.png,"cat\n', "labels.csv is no table that can be read"),
        ("0.png,cat\n1.png,\n2.png,cat\n", "the name of class 0, '', is empty"),
        ("0.png,<b>cat</b>\n1.png,a\n2.png,a\n", "has an HTML tag"),
    ],
)
def test_tables_that_say_no_classes_are_refused(tmp_path, text, message):
    save(tmp_path / "0.png")
    assert message in refusal(table(tmp_path / "mine", text))


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def one(root, content):
    """Write a folder in which the first picture has this content."""
    folders(root, 3, levels=np.zeros((6, 5, 3), np.uint8))
    (root / "cat" / "0.png").write_bytes(content)
    return root


def first(root, content):
    image = loaded(one(root, content)).train.images[0]
    return (image * 255).round().astype(np.uint8)


def palette(transparency=None):
    image = Image.fromarray((GRAY % 3).astype(np.uint8), "P")
    image.putpalette([250, 0, 0, 0, 240, 0, 0, 0, 230])
    return encoded(image) if transparency is None else encoded(image, transparency=transparency)


def test_pictures_are_read_as_they_look(tmp_path):
    colors = np.array([[250, 0, 0], [0, 240, 0], [0, 0, 230]], np.uint8)
    assert np.array_equal(first(tmp_path / "palette", palette()), colors[GRAY % 3])
    for kind in ("PNG", "BMP", "PPM"):
        assert np.array_equal(first(tmp_path / kind, encoded(Image.fromarray(COLOR), kind)), COLOR)
    in_color = np.repeat(GRAY[..., None], 3, axis=-1)
    for kind in ("PNG", "BMP", "PPM", "GIF"):
        assert np.array_equal(
            first(tmp_path / f"gray {kind}", encoded(Image.fromarray(GRAY), kind)), in_color
        )
    bits = Image.fromarray(GRAY > 100)
    assert np.array_equal(first(tmp_path / "bits", encoded(bits))[..., 0], (GRAY > 100) * np.uint8(255))
    opaque = np.dstack([COLOR, np.full(GRAY.shape, 255, np.uint8)])
    assert np.array_equal(first(tmp_path / "opaque", encoded(Image.fromarray(opaque))), COLOR)
    near = first(tmp_path / "jpeg", encoded(Image.fromarray(np.full((6, 5, 3), 77, np.uint8)), "JPEG"))
    assert np.abs(near.astype(int) - 77).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = {
        1: COLOR, 2: COLOR[:, ::-1], 3: COLOR[::-1, ::-1], 4: COLOR[::-1], 5: COLOR.swapaxes(0, 1),
        6: np.rot90(COLOR), 7: np.rot90(COLOR, 2).swapaxes(0, 1), 8: np.rot90(COLOR, -1),
    }[orientation]  # fmt: skip
    content = encoded(Image.fromarray(np.ascontiguousarray(lying)), exif=exif)
    assert np.array_equal(first(tmp_path, content), COLOR)


def test_gray_pictures_alone_are_gray_and_among_colors_in_color(tmp_path):
    assert loaded(folders(tmp_path / "gray", levels=GRAY)).train.image_shape == (6, 5)
    for part in ("train", "test"):
        folders(tmp_path / "mixed" / part, levels=GRAY)
    save(tmp_path / "mixed" / "test" / "dog" / "5.png", COLOR)
    split = loaded(tmp_path / "mixed")
    assert split.train.image_shape == split.test.image_shape == (6, 5, 3)
    assert np.array_equal(split.train.images[0, ..., 2], GRAY / np.float32(255))
    assert np.array_equal(split.test.images[-1], COLOR / np.float32(255))


def test_a_photo_with_a_second_picture_is_the_first(tmp_path):
    photo, preview = (Image.fromarray(np.full((6, 5, 3), level, np.uint8)) for level in (200, 20))
    content = encoded(photo, "MPO", save_all=True, append_images=[preview])
    assert Image.open(io.BytesIO(content)).format == "MPO"
    assert first(tmp_path, content).mean() == pytest.approx(200, abs=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"", "is no picture of a format that is read (PNG, JPEG, GIF, BMP, PPM); save it as PNG"),
        (lambda: b"hello", "is no picture of a format"),
        (lambda: encoded(Image.fromarray(COLOR), "TIFF"), "is no picture of a format"),
        (lambda: encoded(Image.fromarray(COLOR), "EPS"), "is no picture of a format"),
        (lambda: encoded(Image.fromarray(COLOR), "WEBP"), "is no picture of a format"),
        (lambda: encoded(Image.fromarray(GRAY.astype(np.uint16) * 200)), "has more than 8 bits for a value"),
        (lambda: deep_png(2), "has more than 8 bits for a value"),
        (lambda: b"P6 5 6 65535\n" + bytes(180), "has more than 8 bits for a value"),
        (lambda: b"P5 5 6 65535\n" + bytes(60), "has more than 8 bits for a value"),
        (lambda: encoded(Image.new("CMYK", (5, 6)), "JPEG"), "has colors of the kind CMYK; save it as RGB or gray"),
        (lambda: encoded(Image.new("RGBA", (5, 6))), "has transparent pixels, and what is behind them is not guessed"),
        (lambda: encoded(Image.new("LA", (5, 6))), "has transparent pixels"),
        (lambda: palette(transparency=1), "has transparent pixels"),
        (lambda: encoded(Image.new("RGB", (5, 6)), transparency=(0, 0, 0)), "has transparent pixels"),
        (lambda: encoded(Image.new("L", (5, 6)), transparency=0), "has transparent pixels"),
        (lambda: animated("GIF"), "is animated; save one picture of it as PNG"),
        (lambda: animated("PNG"), "is animated"),
        (lambda: png_of(9000, 9000), "has 9000 x 9000 pixels, more than the 67108864 that are read"),
        (lambda: png_of(1 << 15, 1 << 15), "cannot be decoded: Image size (1073741824 pixels) exceeds limit"),
        (lambda: jpeg_of_scans(200), "has more than 100 scans"),
    ],
)  # fmt: skip
def test_what_can_be_looked_at_in_several_ways_or_none_is_refused(tmp_path, make, message):
    assert f"cat/0.png {message}" in refusal(one(tmp_path, make()))


def animated(kind):
    frames = [Image.fromarray(np.full((6, 5), level, np.uint8)) for level in (0, 100, 200)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(height, width, *, depth=8, color=0, rows=b""):
    header = struct.pack(">2I5B", width, height, depth, color, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_png(color):
    return png_of(6, 5, depth=16, color=color, rows=(b"\0" + bytes(30)) * 6)


def jpeg_of_scans(n):
    content = encoded(Image.fromarray(COLOR), "JPEG", progressive=True)
    start = content.index(b"\xff\xda")
    return content[:start] + content[start:-2] * n + content[-2:]


def test_transparent_colors_that_do_not_occur_do_no_harm(tmp_path):
    content = encoded(Image.fromarray(np.full((6, 5, 3), 9, np.uint8)), transparency=(1, 2, 3))
    assert (first(tmp_path, content) == 9).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "PPM"])
def test_a_cut_picture_is_refused_or_whole(tmp_path, kind):
    levels = RNG.integers(0, 256, (20, 20), np.uint8)
    content = encoded(Image.fromarray(levels), kind)
    with Image.open(io.BytesIO(content)) as image:
        whole = np.asarray(image.convert("RGB"))
    folders(tmp_path, 3, levels=np.zeros((20, 20), np.uint8))
    for length in range(len(content)):
        (tmp_path / "cat" / "0.png").write_bytes(content[:length])
        try:
            found = loaded(tmp_path).train.images[0]
        except DataFileError as error:
            assert str(error).isprintable()
        else:
            assert np.array_equal(found.reshape(20, 20, -1) + np.zeros(3), whole / np.float32(255)), length


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "PPM"])
def test_damaged_pictures_end_in_an_image_or_a_refusal(tmp_path, kind):
    folders(tmp_path, 3)
    content = np.frombuffer(encoded(Image.fromarray(COLOR), kind), np.uint8)
    for seed in range(300):
        rng, damaged = np.random.default_rng(seed), content.copy()
        spots = rng.integers(0, len(content), rng.integers(1, 9))
        damaged[spots] = rng.integers(0, 256, len(spots))
        (tmp_path / "cat" / "0.png").write_bytes(damaged.tobytes())
        try:
            loaded(tmp_path)
        except DataFileError as error:
            assert str(error).isprintable()


def test_bombs_cost_neither_memory_nor_time(tmp_path):
    side = 8000
    content = png_of(side, side, rows=bytes((side + 1) * side))
    assert len(content) * 500 < side * side
    for name in ("cat", "dog"):
        for index in range(4):
            save(tmp_path / name / f"{index}.png")
            (tmp_path / name / f"{index}.png").write_bytes(content)
    tracemalloc.start()
    started = time.perf_counter()
    message = refusal(tmp_path, image_size=(8, 8))
    assert f"bytes to {side} x {side} pixels, more than 500 times" in message
    assert time.perf_counter() - started < 10
    assert tracemalloc.get_traced_memory()[1] < 700 << 20
    tracemalloc.stop()


def test_together_pictures_may_take_no_more_than_other_formats(tmp_path, monkeypatch):
    folders(tmp_path, levels=np.zeros((512, 512), np.uint8))
    monkeypatch.setattr("probe.datasets._stored.MAX_BYTES", 10 << 20)
    assert "the pictures of shape (12, 512, 512) would take" in refusal(tmp_path)
    monkeypatch.setattr(_pictures, "FREE_BYTES", 0)
    assert "would expand from" in refusal(tmp_path, image_size=(4, 4))
    monkeypatch.setattr(_folders, "MAX_PICTURES", 5)
    assert "at most 5 pictures are read" in refusal(tmp_path)


def test_links_are_not_followed(tmp_path):
    secret = save(tmp_path / "secret" / "a.png")
    root = folders(tmp_path / "mine")
    (root / "cat" / "x.png").symlink_to(secret)
    assert "'x.png' in cat is a link to another place, which is not followed; copy" in refusal(root)
    (root / "cat" / "x.png").unlink()
    (root / "fox").symlink_to(secret.parent)
    assert "'fox' in mine is a link" in refusal(root)
    (root / "fox").unlink()
    (root / "sub").mkdir()
    (root / "sub" / "x.png").symlink_to(secret)
    (root / "labels.csv").write_text("cat/0.png,a\nsub/x.png,b\n")
    assert "'sub/x.png' in row 2 is a link or leads out of it" in refusal(root)
    # But the folder itself may be one: its user named it.
    (root / "labels.csv").unlink()
    (root / "sub" / "x.png").unlink()
    (root / "sub").rmdir()
    (tmp_path / "link").symlink_to(root)
    assert len(loaded(tmp_path / "link").train) == 10


def test_pipes_are_not_waited_for(tmp_path):
    folders(tmp_path)
    os.mkfifo(tmp_path / "cat" / "9.png")
    assert "cat/9.png it is not a regular file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "cat/notes.txt",
            "the folder of the class 'cat' must hold pictures only, but 'notes.txt' in it is no picture",
        ),
        ("cat/old/0.png", "'old' in it is a folder; move it away"),
        ("0.png", "must hold a folder of pictures for each class, a CSV table of two columns"),
        ("a.csv b.csv", "holds 2 tables, and which one is meant is not guessed; keep one"),
    ],
)
def test_what_is_not_meant_to_be_there_is_named(tmp_path, more, message):
    folders(tmp_path)
    for name in more.split():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert message in refusal(tmp_path)


def test_classes_need_pictures_and_the_same_name_in_both_parts(tmp_path):
    folders(tmp_path / "train")
    folders(tmp_path / "test", classes=("cat", "dogs"))
    assert (
        "test/dogs/0.png is of the class 'dogs', which no picture to train on has: they have 'cat', 'dog'. Give"
        in refusal(tmp_path)
    )
    folders(tmp_path / "other")
    (tmp_path / "other" / "fox").mkdir()
    assert "the folder of the class 'fox' is empty; remove it" in refusal(tmp_path / "other")
    (tmp_path / "val").mkdir()
    folders(tmp_path / "valid")
    folders(tmp_path / "val")
    assert "'val' and 'valid' are the same part of the data; keep one" in refusal(tmp_path)


def test_sizes_that_differ_are_refused_with_the_option_that_resizes(tmp_path):
    save(folders(tmp_path) / "dog" / "4.png", COLOR[:4])
    assert (
        "pictures must have one size, but cat/0.png is 6 x 5 and dog/4.png 4 x 5. Resize them with --image-size 32,32 "
        "(image_size=(32, 32) in Python)" in refusal(tmp_path)
    )
    split = loaded(tmp_path, image_size=(3, 5))
    assert split.train.image_shape == (3, 5, 3)
    assert split.name == f"{tmp_path.name} 3 x 5"
    means = COLOR.astype(float).reshape(3, 2, 5, 3).mean(axis=1)
    assert np.abs(split.train.images[0] * 255 - means).max() <= 0.51


def test_pictures_and_arrays_are_resized_alike(tmp_path):
    folders(tmp_path / "pictures", levels=COLOR)
    arrays = {
        "images": np.repeat(COLOR[None], 12, axis=0),
        "labels": [0, 1] * 6,
        "class_names": ["cat", "dog"],
    }
    np.savez(tmp_path / "arrays.npz", **arrays)
    pictures, array = (loaded(tmp_path / name, image_size=(4, 9)) for name in ("pictures", "arrays.npz"))
    assert np.abs(pictures.train.images - array.train.images).max() <= 0.501 / 255
    assert np.array_equal(array.train.images, resized(loaded(tmp_path / "arrays.npz"), (4, 9)).train.images)
    assert array.name == "arrays 4 x 9"


@pytest.mark.parametrize("size", [5, (4,), (4, 4, 3), (0, 4), (2.5, 4), "44"])
def test_sizes_that_no_image_has_are_refused(size):
    with pytest.raises(InputError, match="image_size must be"):
        load_dataset("digits", image_size=size)


def test_a_size_that_would_not_fit_is_refused():
    with pytest.raises(InputError, match="GiB of memory, more than the 4 GiB allowed"):
        load_dataset("digits", image_size=(10_000, 10_000))


def test_the_order_of_the_classes_can_be_that_of_a_network(tmp_path):
    folders(tmp_path, classes=("ant", "bee", "cat"))
    split = loaded(tmp_path, class_names=("cat", "ant", "fox", "bee"))
    assert split.train.class_names == ("cat", "ant", "fox", "bee")
    assert split.train.labels[:3].tolist() == [1, 3, 0]
    assert loaded(tmp_path, class_names=["A", "B", "C"]).train.labels[:3].tolist() == [0, 1, 2]
    for names in (("ant", "bee"), ("ant", "bee", "dog"), ("A", "B")):
        with pytest.raises(
            InputError, match="class_names must have all 3 names of the data, in any order, or be 3 new"
        ):
            load_dataset(tmp_path, class_names=names)
    for names in ("abc", 5, ("a", "a", "b"), ("a", 2, "c"), ()):
        with pytest.raises(InputError, match="class_names must be"):
            load_dataset(tmp_path, class_names=names)


def test_names_reach_a_network_and_its_pictures(tmp_path):
    split = loaded(folders(tmp_path, 12, classes=("Blåbär $x^2$", "x" * 200, "dog")), image_size=(5, 5))
    network = probe.train(probe.MLP((3,)), split, probe.TrainingConfig(epochs=1)).network
    assert network.class_names == split.train.class_names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it learned nothing
        figure = probe.plot(probe.noise_confidence(network, split, n_images=2, seed=0))
    written = [text.get_text() for axes in figure.axes for text in axes.get_xticklabels()]
    assert any("Blåbär $x^" in text for text in written)
