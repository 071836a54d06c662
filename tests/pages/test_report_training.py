"""Training and the network in words: the sentences say what the results hold."""

import numpy as np
import pytest
from result_checks import check_result, words

import probe
from probe.layers import Conv2D, Dense, Flatten
from probe.pages import Section
from probe.training import NetworkSummary


@pytest.fixture(scope="module")
def training(small_digits):
    return probe.train(probe.MLP((6, 5)), small_digits, probe.TrainingConfig(epochs=3))


def training_section(network, history=None):
    summary = NetworkSummary.of(network, "digits", 0.8125)
    return Section(
        key="training", results={"network": summary} | ({} if history is None else {"training": history})
    )


def test_what_training_gives_back_is_a_result(training, small_digits):
    config = probe.TrainingConfig(epochs=2)
    many = probe.train_population(probe.MLP((4,)), small_digits, config, n_networks=3)
    for result in (training, training.history, many, many.history):
        check_result(result)
    columns = many.history.columns()
    assert columns["network"].tolist() == [0, 0, 1, 1, 2, 2]
    assert columns["epoch"].tolist() == [1, 2] * 3
    np.testing.assert_array_equal(columns["cost"], many.history.cost.ravel())
    np.testing.assert_array_equal(many.columns()["test_accuracy"], many.history.test_accuracy[:, -1])


def test_the_numbers_of_the_words_are_those_of_the_results(training):
    section = training_section(training.network, training.history)
    said, (claim,) = words(section), section.rendered().claims
    network, history = training.network, training.history
    assert f"{network.n_parameters:,} parameters in layers of 64-6-5-10 units;" in said
    assert "81.25% of the test images are right." in said
    assert f"the cost ends at {history.cost[-1]:.4f}" in said
    assert f"on test images at {history.test_accuracy[-1]:.1%}" in said
    assert claim.found == f"81.25% of digits test images ({network.n_parameters:,} parameters)."
    assert claim.picture == "training"
    assert section.results["network"].to_dict()["layer_widths"] == [64, 6, 5, 10]


def test_a_network_of_other_layers_has_them_counted_and_no_history():
    rng = np.random.default_rng(0)
    layers = (
        Conv2D("conv", rng.normal(size=(1, 1, 1, 2)).astype(np.float32), np.zeros(2, np.float32)),
        Flatten("flatten"),
        Dense("output", rng.normal(size=(18, 2)).astype(np.float32), np.zeros(2, np.float32)),
    )
    section = training_section(probe.Network(layers, (3, 3, 1)))
    said, (claim,) = words(section), section.rendered().claims
    assert "42 parameters in 1 Conv2D and 1 Dense layers;" in said
    assert "It was trained elsewhere; the file does not hold how." in said
    assert claim.picture is None
