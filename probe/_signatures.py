"""One check for all public callables: each argument is of a kind that its annotation names.

Ranges, shapes and names of choices are checked where they are used, and numbers too, since these checks say
their bounds. Here are the mistakes that would end in a foreign exception: a string for a network, a number for
a sequence, a masked array, text that no file or screen can hold.
"""

from __future__ import annotations

import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from probe._bars import shown
from probe._checks import InputError, brief, is_path_like

__all__ = ["AtLeast", "check_arguments", "checked", "origin_of"]

Target = TypeVar("Target", bound=Callable[..., Any])

_CALLABLE: Any = Callable

_CHECKED_WHERE_USED = (int, float, object, Any, np.random.Generator)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What an argument must be, in words and as a test of its value."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A bound in an annotation: `Annotated[int, AtLeast(1)]` is an integer of at least 1."""

    minimum: int

    def rule(self) -> _Rule:
        """Return the bound as a check."""
        return _Rule(f"an integer of at least {self.minimum}", self._fits)

    def _fits(self, value: object) -> bool:
        is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return is_integer and value >= self.minimum  # type: ignore[operator]


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise an InputError unless keyword arguments are what the annotations of a function say, as `checked` does."""
    problem = _problem(inspect.unwrap(function), (), arguments)
    if problem:
        raise InputError(problem)


def checked(target: Target) -> Target:
    """Return a function or a dataclass that refuses arguments of other kinds than its annotations name.

    A function whose `progress` is "auto" by default is called with the function that shows it, see `probe._bars`.

    Raises
    ------
    InputError
        By what is returned: if an argument is plainly none of what its annotation says.

    Examples
    --------
    >>> @checked
    ... def repeated(text: str, times: int) -> str:
    ...     return text * times
    >>> repeated(3, 2)
    Traceback (most recent call last):
    probe._errors.InputError: text must be a string, got 3
    """
    if isinstance(target, type):
        original = target.__init__  # type: ignore[misc]

        @wraps(original)
        def make(*args: Any, **kwargs: Any) -> None:
            problem = _problem(original, args, kwargs)
            if problem:
                # What the class itself says about it says more.
                try:
                    original(*args, **kwargs)
                except InputError:
                    raise
                except Exception:  # a foreign one, from what is no such argument
                    pass
                raise InputError(problem)
            original(*args, **kwargs)

        target.__init__ = make  # type: ignore[misc]
        return target

    progress = inspect.signature(target).parameters.get("progress")
    is_shown = progress is not None and progress.default == "auto"

    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Any:
        problem = _problem(target, args, kwargs)
        if problem:
            raise InputError(problem)
        if not is_shown:
            return target(*args, **kwargs)
        with shown(kwargs.get("progress", "auto")) as told:
            return target(*args, **kwargs | {"progress": told})

    return call  # type: ignore[return-value]


def _problem(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return what is wrong with the arguments, "" for nothing."""
    names, rules = _rules(function)
    for arguments in (zip(names, args, strict=False), kwargs.items()):
        for name, value in arguments:
            if name in rules and not rules[name].fits(value):
                return f"{name} must be {rules[name].words}, got {brief(value)}"
    return ""


@cache
def _rules(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, _Rule]]:
    """Return the names of the arguments in order, and what they must be."""
    # At the first call: an annotation may name what comes later in the module.
    hints = typing.get_type_hints(function, include_extras=True)
    known = {name: _rule(hint) for name, hint in hints.items() if name != "return"}
    rules = {name: rule for name, rule in known.items() if rule is not None}
    return tuple(inspect.signature(function).parameters), rules


def _rule(hint: Any) -> _Rule | None:
    """Return what a value of this annotation must be; None where that is checked elsewhere."""
    origin, inner = origin_of(hint), typing.get_args(hint)
    if hasattr(hint, "__value__") and not inner:
        return None  # NumPy's ArrayLike, from Python 3.12 on an alias of its own kind
    if origin is typing.Annotated:
        bounds = [extra for extra in inner[1:] if isinstance(extra, AtLeast)]
        return bounds[0].rule() if bounds else _rule(inner[0])
    if hint is None or hint is type(None):
        return _Rule("None", lambda value: value is None)
    if origin in (typing.Union, types.UnionType):
        # A path is told by os.PathLike; text alone would do for any string.
        is_path = os.PathLike in map(origin_of, inner)
        return _any_of([_rule(one) for one in inner if not (is_path and one is str)])
    if origin is os.PathLike:
        return _Rule("a path that a file can have", is_path_like)
    if origin is Path:
        return _Rule("a Path that a file can have", _is_path)
    if origin is Mapping:
        return _mapping(*map(_rule, inner))
    if origin is np.ndarray:
        return _Rule("a NumPy array of numbers", _is_array)
    if origin in (tuple, list, Sequence):
        return _sequence(origin, inner)
    if not isinstance(origin, type) or origin in _CHECKED_WHERE_USED:
        return None
    if origin is str:
        return _Rule("a string", _is_text)
    if origin is _CALLABLE:
        return _Rule("a function", callable)
    if getattr(origin, "_is_protocol", False):
        members = [name for name in (*vars(origin), *inspect.get_annotations(origin)) if name[0] != "_"]
        return _Rule(
            _named(origin),
            lambda value: not isinstance(value, type) and all(hasattr(value, name) for name in members),
        )
    return _Rule("a class" if origin is type else _named(origin), lambda value: isinstance(value, origin))


def _named(kind: type) -> str:
    name = kind.__name__
    return f"an {name}" if name[0] in "AEIO" or name.isupper() else f"a {name}"


def origin_of(hint: Any) -> Any:
    """Return the class behind a type, such as tuple of tuple[int, ...], also where NumPy has another name for it.

    Examples
    --------
    >>> origin_of(tuple[int, ...]), origin_of(int), origin_of(np.typing.NDArray[np.float32])
    (<class 'tuple'>, <class 'int'>, <class 'numpy.ndarray'>)
    """
    origin = typing.get_origin(hint) or hint
    # From Python 3.12 on NumPy's NDArray may be an alias of its own kind.
    named = getattr(origin, "__value__", None)
    return origin if named is None else typing.get_origin(named) or named


def _any_of(rules: Sequence[_Rule | None]) -> _Rule | None:
    known = [rule for rule in rules if rule is not None]
    if len(known) < len(rules):
        return None
    return _Rule(
        " or ".join(rule.words for rule in known), lambda value: any(rule.fits(value) for rule in known)
    )


def _sequence(origin: type, inner: tuple[Any, ...]) -> _Rule:
    kinds = (tuple, list, range, np.ndarray) if origin is Sequence else (tuple, list)
    if origin is tuple and Ellipsis not in inner:
        each = [_rule(one) for one in inner]
        return _Rule(
            f"a tuple of {len(each)}",
            lambda value: (
                isinstance(value, kinds)
                and len(value) == len(each)
                and all(rule is None or rule.fits(one) for rule, one in zip(each, value, strict=True))
            ),
        )
    member = _rule(inner[0])
    words = "a tuple" if origin is tuple else "a sequence of values"
    if member is not None:
        words += f", each {member.words}"
    return _Rule(
        words,
        lambda value: (
            isinstance(value, kinds)
            and (not isinstance(value, np.ndarray) or (value.ndim == 1 and value.dtype.kind in "iuf"))
            and (member is None or all(map(member.fits, value)))
        ),
    )


def _mapping(key: _Rule | None, entry: _Rule | None) -> _Rule:
    words = "a mapping"
    if key is not None:
        words += f" whose keys are each {key.words}"
    if entry is not None:
        words += f" whose values are each {entry.words}"
    return _Rule(
        words,
        lambda value: (
            isinstance(value, Mapping)
            and (key is None or all(map(key.fits, value)))
            and (entry is None or all(map(entry.fits, value.values())))
        ),
    )


def _is_path(value: object) -> bool:
    # Path.exists raises an OSError where a name is longer than any file system takes.
    is_path = isinstance(value, Path) and is_path_like(value)
    return is_path and all(len(os.fsencode(part)) < 256 for part in value.parts)  # type: ignore[attr-defined]


def _is_array(value: object) -> bool:
    is_plain = isinstance(value, np.ndarray) and not isinstance(value, (np.ma.MaskedArray, np.matrix))
    return is_plain and value.dtype.kind in "biuf"  # type: ignore[attr-defined]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
