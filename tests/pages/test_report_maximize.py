"""The section on maximizing inputs: its sentences agree with what was found."""

from dataclasses import replace

import numpy as np
import planted
import pytest
from result_checks import table_rows, words

import probe
from probe.pages import Section


@pytest.fixture(scope="module")
def found(trained, digits):
    classes = [probe.class_logit(k) for k in range(10)]
    units = [probe.unit("hidden_1", k) for k in range(12)]
    return {
        "maximize_classes": probe.maximize(trained, classes, restarts=3, steps=80, images=digits.test),
        "maximize_classes_smooth": probe.maximize(
            trained, classes, restarts=2, steps=20, l2=0.02, total_variation=0.05
        ),
        "maximize_units": probe.maximize(trained, units, restarts=3, steps=150),
    }


def shown(results):
    return Section(key="maximize", results=results)


def header(section):
    html = section.rendered().html
    return [
        part.partition("</bdi>")[0]
        for part in html[html.index("<thead>") : html.index("</thead>")].split("<bdi>")[1:]
    ]


def test_every_number_that_is_said_is_what_was_found(found):
    plain, smooth = found["maximize_classes"], found["maximize_classes_smooth"]
    section = shown(found)
    said, numbers = words(section), {name: result.to_dict() for name, result in found.items()}
    assert section.rendered().claims == ()
    as_intended = plain.predictions[np.arange(10), plain.best_restarts] == np.arange(10)
    hits = int(as_intended.sum())
    assert f"puts {hits} of the 10 images" in said
    classes = numbers["maximize_classes"]
    assert classes["n_as_intended"] == hits
    confidences = plain.confidences[np.arange(10), plain.best_restarts]
    assert classes["best_confidences"] == confidences.tolist()
    assert classes["least_confidence_as_intended"] == confidences[as_intended].min()
    assert f"with logits of {plain.best_values.min():.1f} to {plain.best_values.max():.1f}" in said
    assert classes["best_values"] == plain.best_values.tolist()
    assert classes["bounds"]["upper"] == plain.bounds.upper.tolist()
    assert classes["reached"] == plain.reached.tolist()
    assert classes["n_optima"] == plain.n_optima.tolist()
    assert classes["region"]["name"] == "the box [0, 1]"
    assert numbers["maximize_classes_smooth"]["best_values"] == smooth.best_values.tolist()
    assert numbers["maximize_units"]["bounds"]["exact"] == [True] * 12
    assert f"Of {plain.top.n_images:,} real images none reaches" in said
    above = int((plain.best_values > plain.top.values[:, 0]).sum())
    assert f"for {above} of 10 objectives" in said
    assert classes["n_above_real"] == above


def test_first_layers_are_said_to_be_proven(found):
    html = shown(found).rendered().html
    caption = html[html.index('id="picture-maximize_units"') :]
    assert "12 of 12 are proven to be the highest there is" in caption
    assert "all of them find the same" in caption


def test_the_table_has_a_row_for_each_class_with_its_bound(found):
    plain, section = found["maximize_classes"], shown(found)
    assert header(section) == [
        "objective",
        "value",
        "upper bound",
        "of the way",
        "distinct optima",
        "best real image",
    ]
    for k, row in enumerate(table_rows(section)[0]):
        assert row[:3] == [str(k), f"{plain.best_values[k]:.2f}", f"{plain.bounds.upper[k]:.2f}"]
        assert float(row[3].rstrip("%")) / 100 <= plain.reached[k]
        assert row[4:] == [str(plain.n_optima[k]), f"{plain.top.values[k, 0]:.2f}"]


def test_a_layer_without_bounds_is_named(found):
    nothing = planted.bounds(np.full(10, -np.inf), np.full(10, np.inf), "cube")
    plain = replace(found["maximize_classes"], bounds=nothing, top=None)
    section = shown(found | {"maximize_classes": plain})
    assert "How high they could get is not known: layer 'cube' can put out anything." in words(section)
    assert table_rows(section)[0][0][2:4] == ["none", "–"]
    assert len(header(section)) == 5
    assert "real images" not in words(section)


def test_one_start_says_nothing_of_other_optima(trained):
    single = probe.maximize(trained, [probe.class_logit(k) for k in range(10)], restarts=1, steps=5)
    said = words(shown({"maximize_classes": single}))
    assert "One start for each objective says nothing of other optima" in said
    assert "of the ascents were still rising at their last step" in said


def test_a_network_without_slopes_is_said_not_to_climb():
    layers = (
        probe.layers.Flatten("flatten"),
        probe.layers.Dense("hidden", np.random.default_rng(0).normal(size=(64, 5)), np.zeros(5), "step"),
        probe.layers.Dense("output", np.random.default_rng(1).normal(size=(5, 10)), np.zeros(10), "softmax"),
    )
    network = probe.Network(layers, (8, 8))
    classes = [probe.class_logit(k) for k in range(10)]
    plain = probe.maximize(network, classes, restarts=2, steps=3)
    said = words(shown({"maximize_classes": plain}))
    assert said.startswith("The gradient of the classes with respect to the pixels is zero")
    assert "Random images, from which nothing climbs" in said
    assert "raises each class most" not in said
    assert plain.to_dict()["moved"] is False


def test_the_network_is_said_to_be_sure_only_where_it_is(found):
    plain = found["maximize_classes"]
    assert "raises each class most, without any help" in words(shown({"maximize_classes": plain}))
    classes = np.repeat(np.arange(10)[:, None], plain.predictions.shape[1], axis=1)
    for confidence, is_said in ((0.95, True), (0.5, False)):
        confidences = np.full(plain.confidences.shape, confidence)
        result = replace(plain, predictions=classes, confidences=confidences)
        assert ("The network is sure of each." in words(shown({"maximize_classes": result}))) == is_said
