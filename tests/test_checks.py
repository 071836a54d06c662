import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe._checks import (
    DataFileError,
    InputError,
    ModelFileError,
    check_choice,
    check_class_names,
    check_finite,
    check_floats,
    check_folder,
    check_images,
    check_integer,
    check_labels,
    check_number,
    check_once,
    check_rng,
    check_shape,
    check_sizes,
    frozen_copy,
    readonly,
)
from probe.population import MLP
from probe.safeh5 import printable


def refusal(message):
    return pytest.raises(InputError, match="^" + re.escape(message) + "$")


def test_every_refusal_is_a_value_error():
    assert issubclass(InputError, ValueError)
    assert issubclass(ModelFileError, InputError)
    assert issubclass(DataFileError, InputError)


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_integers_within_bounds_pass_and_others_do_not(value, minimum):
    if value >= minimum:
        assert check_integer("n", value, minimum=minimum) == value
    else:
        with refusal(f"n must be an integer of at least {minimum}, got {value}"):
            check_integer("n", value, minimum=minimum)


def test_numpy_integers_become_ints():
    assert type(check_integer("n", np.int32(3), minimum=1)) is int


@pytest.mark.parametrize("value", [1.0, "1", None, True, np.True_, [1]])
def test_what_is_no_integer_is_refused(value):
    with refusal(f"n must be an integer from 1 to 9, got {value!r}"):
        check_integer("n", value, minimum=1, maximum=9)


def test_an_integer_above_the_maximum_is_refused():
    with refusal("n must be an integer from 1 to 9, got 10"):
        check_integer("n", 10, minimum=1, maximum=9)


@pytest.mark.parametrize(
    ("bounds", "value", "message"),
    [
        ({"above": 0}, 0, "rate must be a finite number above 0, got 0"),
        ({"minimum": 0}, -0.5, "rate must be a finite number at least 0, got -0.5"),
        ({"minimum": 0, "maximum": 1}, 2, "rate must be a finite number at least 0 and at most 1, got 2"),
        ({"above": 0, "maximum": 1}, 1.5, "rate must be a finite number above 0 and at most 1, got 1.5"),
        ({}, np.nan, "rate must be a finite number, got nan"),
        ({}, np.inf, "rate must be a finite number, got inf"),
        ({}, "1", "rate must be a finite number, got '1'"),
        ({}, True, "rate must be a finite number, got True"),
        ({}, None, "rate must be a finite number, got None"),
    ],
)
def test_numbers_outside_their_bounds_are_refused(bounds, value, message):
    with refusal(message):
        check_number("rate", value, **bounds)


def test_a_number_beyond_floats_is_refused():
    with pytest.raises(InputError, match="rate must be a finite number"):
        check_number("rate", 10**400)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_numbers_pass_unchanged(value):
    assert check_number("rate", value) == value


def test_inclusive_bounds_are_inside():
    assert check_number("rate", 0, minimum=0, maximum=1) == 0
    assert check_number("rate", 1, minimum=0, maximum=1) == 1


def test_choices_are_listed_with_the_nearest():
    assert check_choice("cost", "quadratic", ("quadratic", "cross-entropy")) == "quadratic"
    with refusal("cost must be one of quadratic, cross-entropy; got 'quadratc' (did you mean 'quadratic'?)"):
        check_choice("cost", "quadratc", ("quadratic", "cross-entropy"))
    with refusal("cost must be one of quadratic, cross-entropy; got 7"):
        check_choice("cost", 7, ("quadratic", "cross-entropy"))


def test_values_that_are_there_twice_are_named():
    check_once("corruption", (0.0, 0.5, 1.0))
    with refusal("corruption must hold each value once, got 0.5 twice"):
        check_once("corruption", (0.5, 1, 0.5))
    with refusal("corruption must hold each value once, got 0 twice"):
        check_once("corruption", (0, 0.0))
    with refusal("architectures must hold each value once, got 16,16 relu twice"):
        check_once("architectures", (MLP((16, 16), "relu"), MLP((16, 16)), MLP((16, 16), "relu")))


@given(st.lists(st.integers(0, 3), max_size=3), st.lists(st.none() | st.integers(0, 3), max_size=3))
def test_a_shape_fits_exactly_if_every_length_does(found, expected):
    fits = len(found) == len(expected) and all(
        (got >= 1 if want is None else got == want) for got, want in zip(found, expected, strict=True)
    )
    if fits:
        check_shape("x", tuple(found), tuple(expected))
    else:
        with pytest.raises(InputError, match="x must have shape "):
            check_shape("x", tuple(found), tuple(expected))


def test_a_wrong_shape_is_named_with_the_right_one():
    with refusal("x must have shape (n, 28, 28), got (5, 784)"):
        check_shape("x", (5, 784), (None, 28, 28))


def test_values_that_are_not_finite_are_counted_and_the_first_is_located():
    check_finite("x", np.ones(3))
    values = np.ones((2, 3))
    values[0, 2] = np.nan
    values[1, 1] = -np.inf
    with refusal("x must be finite, but 2 of 6 values are not, the first at (0, 2)"):
        check_finite("x", values)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((1, 2, 2), np.uint8),
            "x must be float32 or float64 in [0, 1], got uint8; divide uint8 pixels by 255",
        ),
        (np.zeros((1, 2, 3)), "x must have shape (n, 2, 2), got (1, 2, 3)"),
        (np.zeros((0, 2, 2)), "x must have shape (n, 2, 2), got (0, 2, 2)"),
        (
            np.array([[[0, 2.5], [0, 0]]]),
            "x must lie in [0, 1], got values from 0 to 2.5; scale them first",
        ),
        (
            np.array([[[0, -0.5], [0, 1]]]),
            "x must lie in [0, 1], got values from -0.5 to 1; scale them first",
        ),
        (
            np.array([[[0, np.nan], [0, 1]]]),
            "x must be finite, but 1 of 4 values are not, the first at (0, 0, 1)",
        ),
    ],
)
def test_images_are_floats_in_the_unit_interval(images, message):
    with refusal(message):
        check_images("x", images, (2, 2))


def test_images_without_a_given_shape_must_not_be_empty():
    check_images("x", np.ones((1, 3), np.float32))
    with refusal("x must hold at least one image, got shape (0, 2)"):
        check_images("x", np.zeros((0, 2)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3), "labels must be integers in [0, 4), got float64"),
        (np.zeros(2, int), "labels must have shape (3,), one for each image, got (2,)"),
        (np.array([0, 1, 4]), "labels must lie in [0, 4) for 4 classes, got 4"),
        (np.array([0, -1, 4]), "labels must lie in [0, 4) for 4 classes, got -1"),
    ],
)
def test_labels_are_integers_within_the_classes(labels, message):
    check_labels("labels", np.array([0, 3, 1], np.uint8), 3, 4)
    with refusal(message):
        check_labels("labels", labels, 3, 4)


def test_a_seed_is_no_generator():
    check_rng(np.random.default_rng(0))
    with pytest.raises(InputError, match=r"rng must be a numpy\.random\.Generator, .*, got 0$"):
        check_rng(0)


def test_a_folder_that_can_be_written_to_passes_and_stays_as_it_is(tmp_path):
    assert check_folder("out", tmp_path) == tmp_path
    assert check_folder("out", tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "folder"])
def test_a_file_is_no_folder(below, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"^out .*file.* cannot be written to: .*Pass a folder you may write"
    ):
        check_folder("out", tmp_path / "file" / below)


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    # As root, who may write everywhere, tests run too.
    def refuse(*, dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"^out .* cannot be written to: Permission denied\. Pass a folder"):
        check_folder("out", tmp_path)


def test_a_read_only_view_shares_memory_and_refuses_writes():
    values = np.arange(3.0)
    view = readonly(values)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    values[0] = 7
    assert view[0] == 7


def test_a_frozen_copy_does_not_follow_the_original():
    values = np.arange(3.0)
    frozen = frozen_copy(values)
    values[0] = 7
    assert frozen[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        frozen[0] = 1


def test_a_frozen_copy_of_a_view_does_not_follow_what_it_views():
    values = np.arange(3.0)
    frozen = frozen_copy(readonly(values))
    values[0] = 7
    assert frozen[0] == 0


@pytest.mark.parametrize(
    "names",
    [("0", "1"), ("猫", "dög"), ("R&D", "a < b", "<5", ">=50K"), ("שלום", "מה"), ("x" * 256,), ("a'b",)],
)
def test_class_names_that_can_be_shown_pass(names):
    assert check_class_names("names", names) is names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "names must be a tuple of strings, one for each class, got list"),
        ("ab", "names must be a tuple of strings, one for each class, got str"),
        (None, "names must be a tuple of strings, one for each class, got NoneType"),
        ((), "names must be a tuple of strings, one for each class, got none"),
        (
            ("a", b"b"),
            "names must be a tuple of strings, one for each class, but the name of class 1 is bytes",
        ),
        (("a", "b", "a"), "names must be distinct, but 'a' occurs 2 times"),
        (("", "a"), "names must be plain text, but the name of class 0, '', is empty"),
        (("a", "  "), "names must be plain text, but the name of class 1, '  ', is empty"),
        (("a<b>c", "b"), "names must be plain text, but the name of class 0, 'a<b>c', has an HTML tag"),
        (("</p", "b"), "names must be plain text, but the name of class 0, '</p', has an HTML tag"),
        (
            ("a" * 257, "b"),
            f"names must be plain text, but the name of class 0, '{'a' * 40}', has 257 characters, more than 256",
        ),
    ],
)
def test_class_names_that_are_none_are_refused(names, message):
    with refusal(message):
        check_class_names("names", names)


@pytest.mark.parametrize(
    "bad",
    [
        "\n",
        "\0",
        "\x1b[2J",
        "\x9b",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\ud800",
        "\u2028",
        "\u00ad",
        "\ue000",
    ],
)
def test_class_names_that_cannot_be_printed_are_refused_in_ascii(bad):
    with pytest.raises(InputError, match="has characters that cannot be printed") as caught:
        check_class_names("names", ("a", f"b{bad}"))
    assert str(caught.value).isascii()


def test_text_for_messages_is_on_one_short_line():
    assert printable("a\nb\ud800\x1b[1m\u202e") == "a?b??[1m?"
    assert printable("x" * 80) == "x" * 80
    assert printable("x" * 10**7) == "x" * 77 + "..."
    assert printable(InputError("a"), 5) == "a"


@pytest.mark.parametrize("sizes", [12, (), (0,), (1.0,), (True,), "12", None, (1,) * 33])
def test_sizes_are_positive_integers(sizes):
    with pytest.raises(InputError, match=r"shape must be a tuple of positive integers, \(n,\), got"):
        check_sizes("shape", sizes, "(n,)")
    assert check_sizes("shape", [np.int64(3), 2], "(n,)") == (3, 2)


@pytest.mark.parametrize(
    "values", ["a", [[1], [1, 2]], [None], np.array([1j]), np.ma.masked_array([1.0]), {}]
)
def test_floats_are_numbers(values):
    with pytest.raises(InputError, match="values must be an array of real numbers"):
        check_floats("values", values)


def test_floats_are_finite_and_can_be_squared():
    np.testing.assert_array_equal(check_floats("values", [[1, 2]]), [[1.0, 2.0]])
    with pytest.raises(InputError, match="values must be finite"):
        check_floats("values", [np.nan])
    with pytest.raises(InputError, match=r"values must be of at most 1e\+100 in size, got 1e\+200"):
        check_floats("values", [-1e200])


@pytest.mark.parametrize("check", [check_integer, check_number])
def test_an_array_of_one_number_is_no_number(check):
    with pytest.raises(InputError, match="rate must be"):
        check("rate", np.array(3), minimum=0)
