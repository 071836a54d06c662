"""What a report does with a network that is slow, and what it says of that."""

import numpy as np
import pytest

import probe
from probe.ascent import affordable_ascents
from probe.catalogue import ANALYSES
from probe.controls import fewer_labels, gentle_rate
from probe.layers import Conv2D, Dense, Flatten
from probe.workflow._sections import Subject, in_report


def convolutional(n_filters):
    kernel = np.zeros((3, 3, 3, n_filters), np.float32)
    head = np.zeros((32 * 32 * n_filters, 10), np.float32)
    layers = Conv2D("conv", kernel, padding="same"), Flatten("flatten"), Dense("output", head, head[0])
    return probe.Network(layers, (32, 32, 3))


def options_of(name, network, split):
    (entry,) = (entry for entry in ANALYSES if entry.name == name)
    return *in_report(entry, Subject(network, split)), dict(entry.report)


@pytest.mark.parametrize("name", ["landscape", "concepts", "noise_severity"])
def test_a_quick_network_gets_what_the_catalogue_says(name, trained, digits):
    options, note, usual = options_of(name, trained, digits)
    assert options == usual
    assert note == ""


def test_a_slow_network_gets_less_and_it_is_said(digits):
    slow = convolutional(128)
    assert slow.work > 3_000_000
    options, note, usual = options_of("landscape", slow, digits)
    assert options["n_images"] < usual["n_images"]
    assert options["parts"] == ()
    assert (
        f"{options['n_directions']} directions, {options['n_images']} images; no training with step" in note
    )
    assert note.startswith("Reduced, for this network is slow: ") and "`probe landscape`" in note
    options, note, usual = options_of("concepts", slow, digits)
    assert options["n_images"] == usual["n_images"] // 2
    assert f"{options['n_images']} images" in note
    options, note, usual = options_of("noise_severity", slow, digits)
    assert (options, note) == (usual, "")


def test_ascents_are_fewer_starts_then_fewer_steps_then_fewer_objectives():
    assert affordable_ascents(convolutional(8), 10, 8, 300) == (10, 8, 300)
    found = [affordable_ascents(convolutional(n), 100, 8, 300) for n in (8, 32, 128, 512)]
    assert [each[1] for each in found] == sorted((each[1] for each in found), reverse=True)
    for n, restarts, steps in found:
        assert steps == 300 or restarts == 2
        assert n == 100 or steps == 50
    assert found[0] != found[-1]
    assert found[-1][0] < 100


def test_bright_and_large_images_get_smaller_rates(digits):
    assert gentle_rate(0.3, digits.train.images) == 0.3
    bright = np.full((4, 32, 32, 3), 0.5, np.float32)
    assert gentle_rate(0.3, bright) == pytest.approx(0.3 * 100 / (3072 / 4))
    # Twice as bright is four times as steep.
    assert gentle_rate(0.3, 2 * bright) == pytest.approx(gentle_rate(0.3, bright) / 4)


def test_few_labels_of_large_images_are_taught():
    assert fewer_labels(200, 28 * 28) == 200
    assert fewer_labels(1000, 28 * 28) == 1000
    assert fewer_labels(1000, 224 * 224 * 3) == 50


def test_networks_that_stand_in_learn_labels_of_color_images():
    """At the usual rate they learn nothing, not even the labels that the images have."""
    rng = np.random.default_rng(0)
    means = 0.6 + 0.15 * rng.normal(size=(10, 32, 32, 3))
    labels = np.arange(600) % 10
    images = np.clip(means[labels] + rng.normal(0, 0.1, (600, 32, 32, 3)), 0, 1).astype(np.float32)
    data = probe.Dataset(images, labels, tuple("abcdefghij"))
    split = probe.Split(data, data.take(slice(0, 100)), "means")
    found = probe.control_networks(convolutional(2), split, n_networks=1, minutes=0)
    assert not found.copies
    assert found.summary.test_accuracy[0] > 0.9
    predicted = found.few_labels.network(0).predict(images)
    assert (predicted == labels).mean() > 0.9
