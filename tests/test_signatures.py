"""Arguments of another kind than their annotation names are refused, in words that say which and what came."""

import os
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from probe import MLP, InputError, Network, Split, train, unit
from probe._signatures import checked, origin_of
from probe.layers import Dense


@checked
@dataclass(frozen=True)
class Pair:
    first: MLP
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.first == 3:
            raise InputError("first must not be 3")


@checked
def told(
    text: str = "",
    path: str | os.PathLike[str] | None = None,
    values: npt.NDArray[np.float64] | None = None,
    many: MLP | Sequence[MLP] = (),
    function: Callable[[], None] = print,
    mapping: Mapping[str, int] | None = None,
    number: int = 0,
    place: tuple[str, int] = ("", 0),
    folder: Path = Path(),
) -> str:
    return "told"


class Doubled(str):
    """Text of a class derived from str."""


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"text": Doubled("a")},
        {"path": "a"},
        {"path": Path("a")},
        {"path": None},
        {"values": np.ones(3, int)},
        {"many": MLP()},
        {"many": [MLP()]},
        {"function": len},
        {"mapping": {"a": 1}},
        {"number": "checked where it is used"},
        {"place": ("a", 2)},
    ],
)
def test_what_fits_passes(arguments):
    assert told(**arguments) == "told"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"text": 3}, "text must be a string, got 3"),
        ({"text": "\ud800"}, "text must be a string, got '"),
        ({"path": b"a"}, "path must be a path that a file can have or None, got b'a'"),
        ({"path": "a\0b"}, "path must be a path that a file can have"),
        ({"values": [1.0]}, r"values must be a NumPy array of numbers or None, got \[1.0\]"),
        ({"values": np.ma.masked_array([1.0], [True])}, "values must be a NumPy array of numbers"),
        ({"values": np.array(["a"])}, "values must be a NumPy array of numbers"),
        ({"many": ["a"]}, "many must be an MLP or a sequence of values, each an MLP, got"),
        ({"many": np.array([{}])}, "many must be an MLP or a sequence of values"),
        ({"function": 1}, "function must be a function, got 1"),
        ({"mapping": {1: 1}}, "mapping must be a mapping whose keys are each a string or None"),
        ({"place": ("a",)}, "place must be a tuple of 2, got"),
        ({"folder": "a"}, "folder must be a Path that a file can have, got 'a'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, match):
    with pytest.raises(InputError, match=match):
        told(**arguments)


def test_what_a_class_itself_says_comes_first():
    with pytest.raises(InputError, match="first must not be 3"):
        Pair(3)
    with pytest.raises(InputError, match=r"first must be an MLP, got 4"):
        Pair(4)
    with pytest.raises(InputError, match=r"names must be a tuple, each a string, got \(1,\)"):
        Pair(MLP(), (1,))
    assert Pair(first=MLP(), names=("a",)).names == ("a",)


def test_a_wrong_number_of_arguments_is_pythons_own_error():
    for wrong in (lambda: told(nothing=1), lambda: Pair(), lambda: Pair(MLP(), (), 3)):
        with pytest.raises(TypeError):
            wrong()


def test_a_message_is_short_and_can_be_shown():
    class Unspeakable:
        def __repr__(self):
            raise RuntimeError

    for value in ("x" * 10**6, "\x1b[2J\ud800", Unspeakable(), 10**5000):
        with pytest.raises(InputError) as caught:
            Network((Dense("output", np.eye(2), np.zeros(2)),), (2,)).layer(value)
        message = str(caught.value)
        assert len(message) < 1600 and message.isprintable() and message.encode()


def test_an_argument_by_position_is_checked_too():
    with pytest.raises(InputError, match="path must be a path"):
        told("text", 3)


def test_documentation_and_signature_are_those_of_the_function():
    assert train.__doc__.startswith("Train") and train.__module__ == "probe.training.loop"
    assert unit("a", 1) == unit(layer="a", index=1)
    with pytest.raises(InputError, match="train must be a Dataset, got str"):
        Split("mnist", "mnist", "mnist")


def test_a_bound_of_an_annotation_is_said_and_checked_before_the_call():
    from typing import Annotated

    from probe._signatures import AtLeast, check_arguments

    @checked
    def repeated(times: Annotated[int, AtLeast(2)] = 2) -> int:
        return times

    assert repeated() == repeated(2) == 2 and repeated(np.int64(3)) == 3
    for wrong in (1, True, 2.0, "3"):
        for call in (repeated, lambda times: check_arguments(repeated, {"times": times})):
            with pytest.raises(InputError, match="times must be an integer of at least 2, got "):
                call(wrong)


def test_an_alias_for_arrays_is_seen_through():
    # As NumPy 2.5 has it on Python 3.12 and later.
    class Alias:
        __value__ = np.ndarray[Any, np.dtype[np.floating]]

        def __class_getitem__(cls, item):
            return types.GenericAlias(cls, item)

    hint = Alias[np.floating]
    assert origin_of(hint) is origin_of(np.typing.NDArray[np.floating]) is np.ndarray

    def function(values, text="a"):
        return values

    function.__annotations__ = {"values": hint, "text": str}
    with pytest.raises(InputError, match="values must be a NumPy array of numbers, got 'x'"):
        checked(function)("x")
