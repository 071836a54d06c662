"""Comparisons in words: counts, verdicts of both, layers and pairs, and what cannot be matched."""

from dataclasses import replace

import planted
from result_checks import check_result, table_rows, words

from probe.pages.report import Section


def section(result):
    return Section(key="comparison", results={"comparison": result})


def test_it_is_a_result():
    check_result(planted.comparison(5, 5, (4, 4)))


def test_counts_and_levels_of_chance_are_said():
    result = planted.comparison()
    said, found = words(section(result)), result.abilities
    both, first, second, neither = (f"{n:,}" for n in found.totals.tolist())
    assert f"both get {both} right, only A {first}, only B {second}, and neither {neither}." in said
    assert "McNemar's exact test: p = 0.01" in said
    assert "would agree on 10.0%" in said and "else unrelated, on 80.0%" in said
    assert "compute the same" not in said
    assert "compute the same" in words(section(replace(result, logit_change=0.0)))


def test_claims_layers_and_pairs_have_a_row_each():
    result = planted.comparison(16, 20)
    claims, layers, *pairs = table_rows(section(result))
    assert [row[0] for row in claims] == [claim.title for claim in result.claims]
    assert {row[-1] for row in claims} == {"decided"}
    assert [(row[1], row[3]) for row in claims] == [("refuted", "supported")] * len(claims)
    assert [row[:3] for row in layers] == [[layer.first, layer.second, "16 / 20"] for layer in result.layers]
    assert [row[3] for row in layers] == [f"{layer.n_matched} of 16" for layer in result.layers]
    for layer, rows in zip(result.layers, pairs, strict=True):
        assert [row[:2] for row in rows] == [
            [str(unit) for unit in layer.pairs[k]] for k in layer.changed[:8]
        ]
        kinds = ["same weights" if layer.is_same[k] else "matched" if layer.is_matched[k] else "not matched"
                 for k in layer.changed[:8]]  # fmt: skip
        assert [row[-1] for row in rows] == kinds


def test_what_cannot_be_matched_is_said():
    result = planted.comparison(names=("one", "two", "three"))
    shallow = replace(result, layers=result.layers[:1], second_layers=("one",))
    assert "One network is deeper. Without a counterpart in B: two and three." in words(section(shallow))
    linear = replace(result, layers=(), second_layers=())
    assert "B has no hidden layers, so there are no units to match." in words(section(linear))
    both = replace(linear, first_layers=())
    assert "Neither network has hidden layers" in words(section(both))


def test_of_many_layers_the_first_are_shown():
    result = planted.comparison(5, 5, (4, 4), n_layers=9)
    rendered = section(result).rendered()
    assert sum(name.startswith("comparison_units") for name in rendered.pictures) == 6
    assert "The first 6 of 9 layers are shown" in words(section(result))
