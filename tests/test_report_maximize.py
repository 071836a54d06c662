"""The section on maximising inputs: its sentences agree with what was found."""

from dataclasses import replace

import numpy as np
import pytest

import probe
from probe.ascent import Bounds
from probe.report.maximize import maximization_section


@pytest.fixture(scope="module")
def found(trained, digits):
    classes = [probe.class_logit(k) for k in range(10)]
    units = [probe.unit("hidden_1", k) for k in range(12)]
    return (
        probe.maximize(trained, classes, restarts=3, steps=80, images=digits.test),
        probe.maximize(trained, classes, restarts=2, steps=20, l2=0.02, total_variation=0.05),
        probe.maximize(trained, units, restarts=3, steps=150),
    )


def words(section):
    return " ".join([*section.lead, *(picture.caption for picture in section.pictures)])


def test_every_number_that_is_said_is_what_was_found(trained, found):
    plain, smooth, _units = found
    section, claims = maximization_section(trained, *found)
    said, numbers = words(section), section.numbers
    assert claims == ()
    hits = int((plain.predictions[np.arange(10), plain.best_restarts] == np.arange(10)).sum())
    assert f"puts {hits} of the 10 images" in said
    assert numbers["classified_as_intended"] == hits
    assert f"between {plain.best_values.min():.1f} and {plain.best_values.max():.1f}" in said
    assert numbers["best_values"] == plain.best_values.tolist()
    assert numbers["upper_bounds"] == plain.bounds.upper.tolist()
    assert numbers["reached"] == plain.reached.tolist()
    assert numbers["n_optima"] == plain.n_optima.tolist()
    assert numbers["smooth"]["best_values"] == smooth.best_values.tolist()
    assert numbers["units"]["bounds_are_exact"] == [True] * 12
    assert f"Of {plain.top.n_images:,} real images none reaches" in said
    above = int((plain.best_values > plain.top.values[:, 0]).sum())
    assert f"for {above} of 10 objectives" in said


def test_first_layers_are_said_to_be_proven(trained, found):
    section, _ = maximization_section(trained, *found)
    assert "12 of 12 are proven to be the highest there is" in section.pictures[-1].caption
    assert "all of them find the same" in section.pictures[-1].caption


def test_the_table_has_a_row_for_each_class_with_its_bound(trained, found):
    plain = found[0]
    table = maximization_section(trained, *found)[0].tables[0]
    assert table.header == (
        "objective",
        "value",
        "upper bound",
        "of the way",
        "distinct optima",
        "best real image",
    )
    for k, row in enumerate(table.rows):
        assert row[:3] == (str(k), f"{plain.best_values[k]:.2f}", f"{plain.bounds.upper[k]:.2f}")
        assert float(row[3].rstrip("%")) / 100 <= plain.reached[k]
        assert row[4:] == (str(plain.n_optima[k]), f"{plain.top.values[k, 0]:.2f}")


def test_a_layer_without_bounds_is_named(trained, found):
    nothing = Bounds(np.full(10, -np.inf), np.full(10, np.inf), np.zeros(10, bool), ("cube",) * 10)
    section, _ = maximization_section(trained, replace(found[0], bounds=nothing, top=None), *found[1:])
    assert "How high they could get is not known: layer 'cube' can put out anything." in words(section)
    assert section.tables[0].rows[0][2:4] == ("none", "–")
    assert len(section.tables[0].header) == 5
    assert "real images" not in section.lead[-1]


def test_one_start_says_nothing_of_other_optima(trained, found):
    single = probe.maximize(trained, [probe.class_logit(k) for k in range(10)], restarts=1, steps=5)
    said = words(maximization_section(trained, single, found[1], None)[0])
    assert "One start for each objective says nothing of other optima" in said
    assert "of the ascents were still rising at their last step" in said


def test_a_network_without_slopes_is_said_not_to_climb(digits):
    layers = (
        probe.layers.Flatten("flatten"),
        probe.layers.Dense("hidden", np.random.default_rng(0).normal(size=(64, 5)), np.zeros(5), "step"),
        probe.layers.Dense("output", np.random.default_rng(1).normal(size=(5, 10)), np.zeros(10), "softmax"),
    )
    network = probe.Network(layers, (8, 8))
    classes = [probe.class_logit(k) for k in range(10)]
    plain = probe.maximize(network, classes, restarts=2, steps=3)
    section, _ = maximization_section(network, plain, plain, None)
    assert section.lead[0].startswith("The gradient of the classes with respect to the pixels is zero")
    assert section.numbers["moved"] is False
