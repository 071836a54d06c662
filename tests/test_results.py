import dataclasses
import pickle
import sys
from typing import Any

import numpy as np
import planted
import pytest

from probe._checks import InputError
from probe.results import MAX_VALUES, Record, Result
from probe.stats import Interval, Verdict


class Part(Record):
    name: str
    values: np.ndarray


class Whole(Result):
    "What a test found."

    parts: tuple[Part, ...]
    table: dict[str, np.ndarray]
    score: float = 0.5
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_parts(self) -> int:
        return len(self.parts)

    def _check(self) -> None:
        if not self.parts:
            raise InputError("parts must not be empty; got ()")

    def columns(self) -> dict[str, Any]:
        return {"name": [part.name for part in self.parts], "first": [part.values[0] for part in self.parts]}


def whole(**changes):
    parts = (Part(name="a", values=np.arange(3.0)), Part(name="b", values=np.ones(2)))
    return Whole(**{"parts": parts, "table": {"x": np.zeros(2)}} | changes)


def test_records_take_keywords_only_and_cannot_be_changed():
    with pytest.raises(TypeError, match="positional"):
        Part("a", np.zeros(2))
    part = Part(name="a", values=np.zeros(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.name = "b"
    with pytest.raises((AttributeError, TypeError)):
        part.other = 1
    assert not hasattr(part, "__dict__")


def test_arrays_are_read_only_wherever_they_stand():
    result = whole()
    for values in (result.parts[0].values, result.table["x"]):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_the_caller_keeps_the_right_to_write():
    mine = np.zeros(2)
    Part(name="a", values=mine)
    mine[0] = 1


def test_a_result_checks_its_fields_also_when_it_is_replaced():
    with pytest.raises(InputError, match="parts must not be empty"):
        dataclasses.replace(whole(), parts=())


def test_a_result_survives_another_process():
    again = pickle.loads(pickle.dumps(whole()))
    assert again.to_dict() == whole().to_dict()


def test_the_repr_has_at_most_five_lines_whatever_is_in_it():
    class Wide(Record):
        names: tuple[str, ...]
        text: str
        mapping: dict[str, int]
        a: np.ndarray
        b: np.ndarray
        c: np.ndarray

    Many = type("Many", (Record,), {"__annotations__": {f"field_{k}": "float" for k in range(99)}})
    wide = Wide(
        names=("n" * 500,) * 4, text="t\n" * 999, mapping={"k": 1}, **dict.fromkeys("abc", np.zeros((9, 9)))
    )
    for record in (wide, Many(**{f"field_{k}": 0.5 for k in range(99)}), whole()):
        lines = repr(record).split("\n")
        assert len(lines) <= 5
        assert max(map(len, lines)) <= 100
    assert "float64 (9, 9)" in repr(wide)


def test_plain_values_hold_fields_and_properties_and_describe_large_arrays():
    large = np.arange(MAX_VALUES + 1, dtype=np.float32)
    large[0] = np.nan
    values = whole(table={"x": large}, verdicts=(planted.verdict(),)).to_dict()
    assert values["n_parts"] == 2
    assert values["parts"][1] == {"name": "b", "values": [1.0, 1.0]}
    assert values["table"]["x"] == {
        "shape": [MAX_VALUES + 1],
        "dtype": "float32",
        "min": 1.0,
        "max": MAX_VALUES,
        "mean": pytest.approx((MAX_VALUES + 1) / 2),
    }
    assert values["verdicts"][0]["key"] == "k"


def test_the_summary_says_the_verdicts_or_else_the_numbers():
    assert whole().summary() == "Whole: What a test found.\nscore: 0.5\nn_parts: 2"
    judged = whole(verdicts=(planted.verdict(title="It holds", sentence="By 3."),))
    assert judged.summary() == "Whole: What a test found.\nIt holds: supported. By 3."


def test_a_table_needs_pandas_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        whole().to_frame()


def test_a_table_is_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = whole().to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["name"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("", "0.412 (0.3 to 0.523, 20 networks)"),
        (".0%", "41% (30% to 52%, 20 networks)"),
        (".2f;images", "0.41 (0.30 to 0.52, 20 images)"),
        (".1p;", "41.2 (30.0 to 52.3)"),
    ],
)
def test_an_interval_formats_itself(spec, shown):
    assert format(Interval(0.412, 0.3, 0.523, 0.95, 20), spec) == shown


def test_an_interval_of_one_network_has_no_ends():
    assert f"{Interval(0.41, np.nan, np.nan, 0.95, 1):.0%}" == "41%"
    assert f"{Interval(np.nan, np.nan, np.nan, 0.95, 0):.0%}" == "–"
