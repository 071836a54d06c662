from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from probe._checks import Array, DataFileError, InputError, check_number
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.storage import load_result, result_bytes, save_result


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    values: Array
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Everything:
    images: Array
    counts: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_] | None
    seed: int | None
    scale: float
    name: str
    kind: Literal["a", "b"]
    flag: bool
    shape: tuple[int, ...]
    pair: tuple[str, float]
    objectives: tuple[Objective, ...]
    curves: tuple[Curve, ...]
    by_name: Mapping[str, Array]
    settings: dict[str, float | None]
    best: Curve | None
    nested: tuple[tuple[Array, str], ...]
    network: Network | None = None
    total: float = field(init=False)

    def __post_init__(self) -> None:
        check_number("scale", self.scale, minimum=0)
        object.__setattr__(self, "total", float(self.images.sum()))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, Network):
        return one.layer_names == other.layer_names and same(one.layers[0].kernel, other.layers[0].kernel)
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one)
        )
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and (one == other or one != one)


arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
)
scalars = st.floats(allow_nan=True)
curves = st.builds(Curve, arrays, st.text())
objectives = st.builds(
    unit, st.text(), st.integers(0, 2**70), stage=st.sampled_from(["activation", "pre_activation"])
)
everything = st.builds(
    Everything,
    images=arrays,
    counts=hnp.arrays(np.int64, st.integers(0, 4)),
    mask=st.none() | hnp.arrays(bool, st.integers(0, 4)),
    seed=st.none() | st.integers(),
    scale=st.floats(0, allow_infinity=False),
    name=st.text(),
    kind=st.sampled_from(["a", "b"]),
    flag=st.booleans(),
    shape=st.lists(st.integers(), max_size=3).map(tuple),
    pair=st.tuples(st.text(), scalars),
    objectives=st.lists(objectives, max_size=3).map(tuple),
    curves=st.lists(curves, max_size=3).map(tuple),
    by_name=st.dictionaries(st.text(), arrays, max_size=3),
    settings=st.dictionaries(st.text(), st.none() | scalars, max_size=3),
    best=st.none() | curves,
    nested=st.lists(st.tuples(arrays, st.text()), max_size=2).map(tuple),
    network=st.none(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(result=everything)
def test_a_result_comes_back_the_same(tmp_path, result):
    assert same(load_result(save_result(result, tmp_path / "a.h5"), Everything), result)


def example(**changes: Any) -> Everything:
    values: dict[str, Any] = {
        "images": np.ones((2, 3), np.float32),
        "counts": np.arange(3),
        "mask": None,
        "seed": 0,
        "scale": 1.5,
        "name": "x",
        "kind": "a",
        "flag": True,
        "shape": (2, 3),
        "pair": ("p", 0.5),
        "objectives": (class_logit(1),),
        "curves": (Curve(np.zeros(2)),),
        "by_name": {"a/b": np.zeros(2), "": np.ones(1)},
        "settings": {},
        "best": None,
        "nested": (),
    }
    return Everything(**values | changes)


def test_networks_may_be_part_of_a_result(tmp_path, small_network):
    result = example(network=small_network)
    loaded = load_result(save_result(result, tmp_path / "a.h5"), Everything)
    assert same(loaded, result) and loaded.network.class_names == small_network.class_names


def test_arrays_come_back_read_only(tmp_path):
    loaded = load_result(save_result(example(), tmp_path / "a.h5"), Everything)
    for values in (loaded.images, loaded.curves[0].values, loaded.by_name["a/b"]):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0


def test_numpy_scalars_become_numbers(tmp_path):
    result = example(seed=np.int64(3), scale=np.float32(0.5), flag=np.bool_(False), shape=(np.int32(2),))
    loaded = load_result(save_result(result, tmp_path / "a.h5"), Everything)
    assert (loaded.seed, loaded.scale, loaded.flag, loaded.shape) == (3, 0.5, False, (2,))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"best": object()}, "Everything.best is of type object; a result can hold"),
        ({"images": np.array(["a"])}, "Everything.images is an array of <U1"),
        ({"curves": (Curve(np.zeros(1, complex)),)}, "Curve.values is an array of complex128"),
        ({"settings": {1: np.zeros(1)}}, "Everything.settings is of type dict"),
    ],
)
def test_fields_that_cannot_be_stored_are_named(tmp_path, changes, match):
    if "images" in changes:
        result = Curve(changes["images"])
        match = match.replace("Everything.images", "Curve.values")
    else:
        result = example(**changes)
    with pytest.raises(InputError, match=match):
        save_result(result, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_only_dataclasses_are_results(tmp_path):
    with pytest.raises(InputError, match="result must be a dataclass of this project, got dict"):
        save_result({}, tmp_path / "a.h5")
    with pytest.raises(InputError, match="kind must be a dataclass"):
        load_result(tmp_path / "a.h5", dict)


def test_another_kind_of_result_is_named(tmp_path):
    path = save_result(Curve(np.zeros(2)), tmp_path / "a.h5")
    with pytest.raises(DataFileError, match=r"a\.h5: / holds a Curve, expected a Everything"):
        load_result(path, Everything)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda f: f.attrs.__setitem__("encoding-version", "9"), "encoding-version 9, expected 1"),
        (
            lambda f: f.attrs.__delitem__("encoding-type"),
            "holds no result: it has no attribute 'encoding-type'",
        ),
        (lambda f: f.attrs.__delitem__("seed"), "/seed is missing or does not fit the type int"),
        (lambda f: f.attrs.__setitem__("seed", "1.5"), "/seed holds 1.5, expected int"),
        (lambda f: f.attrs.__setitem__("seed", "true"), "/seed holds True, expected int"),
        (lambda f: f.attrs.__setitem__("kind", '"c"'), "/kind holds 'c', expected"),
        (lambda f: f.attrs.__setitem__("kind", "[]"), "/kind holds"),
        (lambda f: f.attrs.__setitem__("name", "x"), "'name' of / is not valid JSON"),
        (lambda f: f.attrs.__setitem__("scale", "-1"), "does not hold a Everything: scale must be"),
        (lambda f: f.attrs.__setitem__("pair", '["a"]'), "/pair holds 1 items, expected 2"),
        (lambda f: f.__delitem__("images"), "/images is missing"),
        (lambda f: f["curves/0"].attrs.__setitem__("encoding-type", "os.system"), "does not fit the type"),
        (lambda f: f["curves"].attrs.__setitem__("encoding-length", "9" * 99), "expected a count of members"),
        (lambda f: f["by_name"].attrs.__setitem__("encoding-keys", "[1]"), "encoding-keys that do not fit"),
        (lambda f: f["by_name"].attrs.__setitem__("encoding-keys", "["), "not valid JSON"),
    ],
)
def test_files_that_do_not_fit_the_class_are_refused(tmp_path, edit, match):
    path = save_result(example(), tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(DataFileError, match=match) as caught:
        load_result(path, Everything)
    assert "\n" not in str(caught.value)


def test_a_missing_result_is_a_data_file_error(tmp_path):
    with pytest.raises(DataFileError, match="does not exist"):
        load_result(tmp_path / "a.h5", Curve)


@given(everything)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_are_a_file_that_holds_the_result_and_the_same_each_time(tmp_path, result):
    content = result_bytes(result)
    path = tmp_path / "result.h5"
    path.write_bytes(content)
    loaded = load_result(path, Everything)
    assert same(loaded, result)
    assert result_bytes(loaded) == content == result_bytes(result)


def test_bytes_hold_no_times():
    curve = Curve(np.arange(5.0), "a")
    before = result_bytes(curve)
    time.sleep(1.1)  # HDF5 would store whole seconds
    assert result_bytes(curve) == before


@pytest.mark.parametrize("value", [Curve, None, {"a": 1}])
def test_bytes_are_of_dataclasses_only(value):
    with pytest.raises(InputError, match=f"result must be a dataclass.*, got {type(value).__name__}"):
        result_bytes(value)
