"""JSON of strangers: what is refused before it is parsed, and what messages show of it."""

import json
import time
from dataclasses import replace

import pytest

from probe._checks import ModelFileError
from probe.kerasfile._config import parse_json
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, check_json, listed, printable, shown


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" + "[]," * 200_000 + "[]]", "has 600004 brackets, commas and colons, more than the 300000"),
        ("[" + "{}," * 200_000 + "{}]", "has 600004 brackets"),
        ("[" + "0," * 400_000 + "0]", "has 400002 brackets"),
        ('"' + "\\u4e00" * 400_000 + '"', "has 400000 brackets"),
        ("]" * 400_000, "has 400000 brackets"),
        (" " * (2 << 20) + "[]", "has 2097152 spaces and line breaks"),
        ("[\n\t\r " + " " * (2 << 20) + "]", "has 2097156 spaces and line breaks"),
        ('"' + "x" * (5 << 20) + '"', "has 5242882 characters, more than the 4194304"),
        ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested deeper than 100 levels"),
        ('{"a": ' + "1" * 101 + "}", "holds a number of 101 digits, more than the 100"),
        ('{"a": 0.' + "1" * 100 + "}", "holds a number of 102 characters, more than the 100"),
        ('{"a": 1e999}', "holds 1e999, which is no finite number"),
        ('{"a": -1e999}', "holds -1e999"),
        ('{"a": NaN}', "holds NaN, which is no number"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ('{"a": {"b": 1, "b": 2}}', "names the same setting twice"),
        ('["\\ud800"]', r"holds half of a character \(ud800\)"),
        ('["\\udFFFx"]', r"holds half of a character \(udFFF\)"),
        ('["\\ude00\\ud83d"]', r"holds half of a character \(ude00\)"),
        ('["\\\\\\ud83d"]', r"holds half of a character \(ud83d\)"),
        ('["\ud83d"]', r"holds half of a character \('\\ud83d'\)"),
        ('{"a": 1} x', "not valid JSON: Extra data"),
        ("\ufeff{}", "not valid JSON"),
    ],
)
def test_text_that_costs_too_much_or_means_nothing_is_refused(text, match):
    began = time.process_time()
    with pytest.raises(ModelFileError, match=f"^config.json .*{match}") as caught:
        parse_json(text, "config.json")
    assert time.process_time() - began < 0.5
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -2, 0.5, 1e-320, 1e308, None, True], "b": {}},
        "\U0001f600 é \\ud800 \\",
        ["\\", "\\\\ud800", "\\u0041"],
        [[[[]]]] * 1000,
    ],
)
def test_everything_else_is_what_json_says(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=8)):
        assert parse_json(text) == value


def test_the_limits_are_those_of_the_caller():
    limits = replace(DEFAULT_LIMITS, json_tokens=3, text_bytes=12)
    check_json("[1, 2]", "text", limits)
    with pytest.raises(DamagedError, match="has 4 brackets"):
        check_json("[1, 2, 3]", "text", limits)
    with pytest.raises(DamagedError, match="has 14 characters, more than the 12"):
        check_json('"123456789012"', "text", limits)


@pytest.mark.parametrize("value", [None, -1.5, "it's", [], {}, [1, [2, {"a": "b", "c": None}]], (1, 2)])
def test_a_value_is_shown_as_python_has_it(value):
    assert shown(value, 200) == repr(value)


def test_no_more_of_a_value_is_looked_at_than_is_shown():
    deep: list = []
    for _ in range(90):
        deep = [deep, deep]
    many = [[0.1, []]] * 1_000_000
    began = time.process_time()
    for value in (deep, many, {"a": many}, dict.fromkeys(range(1000), many), "x" * 10_000_000, [many] * 1000):
        assert len(shown(value)) == 60 and shown(value).endswith("...")
    assert len(printable("x" * 10_000_000, 300)) == 300
    assert len(listed("x" * 1000 for _ in range(10**9))) < 250
    assert time.process_time() - began < 0.2


def test_what_is_shown_can_be_printed():
    found = shown({"\x1b[2J": ["\u202e", "\ud800", "\u200b", "a\nb"]})
    assert found.isprintable() and found.isascii()
    assert printable("a\ud800\u2067b") == "a??b"
    assert listed([]) == "none" and listed(["a\x00"]) == "'a?'"
