"""Memorization in words: how many labels are really wrong, beside how many were permuted or drawn anew."""

import json
import re

import numpy as np
import pytest

import probe
from probe.figures import parts_of
from probe.pages import Section


def data(n_classes, weights=None):
    """Images of noise, with labels of so many classes."""
    rng = np.random.default_rng(0)
    labels = rng.choice(n_classes, 900, p=weights)
    labels[:n_classes] = np.arange(n_classes)
    images = rng.random((900, 4, 4), np.float32)
    names = tuple(f"kind {k}" for k in range(n_classes))
    train, test = (
        probe.Dataset(images[part], labels[part], names) for part in (slice(0, 800), slice(800, None))
    )
    return probe.Split(train, test, "noise")


def study(split, how, shares=(0.0, 0.5, 1.0)):
    config = probe.TrainingConfig(epochs=1, batch_size=100)
    return probe.memorization(
        probe.MLP((2,)), split, config, n_samples=700, replicates=3, corruption=shares, label_corruption=how
    )


def study_page(result):
    facts = {"parts": parts_of(result)}
    return Section(key="study", results={"memorization": result}, facts=facts).rendered()


def report_section(result):
    return Section(key="memorization", results={"memorization": result}).rendered()


def words(section):
    return section.html.striptags()


@pytest.mark.parametrize("how", ["permute", "uniform"])
@pytest.mark.parametrize(
    ("n_classes", "weights"), [(2, None), (2, (0.9, 0.1)), (3, None), (10, None), (10, (0.55, *[0.05] * 9))]
)
def test_the_share_of_wrong_labels_is_that_of_the_labels(how, n_classes, weights):
    shares = np.full(n_classes, 1 / n_classes) if weights is None else np.array(weights)
    # Of labels in another order so many agree by chance; of labels drawn anew one in each class.
    agree = (shares**2).sum() if how == "permute" else 1 / n_classes
    result = study(data(n_classes, weights), how)
    found = result.wrong_labels
    assert list(found) == [0.5, 1.0]
    for share, wrong in found.items():
        assert wrong == pytest.approx(share * (1 - agree), abs=0.05)
    # Counted example by example, too.
    cell = result.cells[0]
    counted = cell.n_examples[:, :, 1] / cell.n_examples.sum(axis=2)
    np.testing.assert_allclose(list(found.values()), counted[1:].mean(axis=1))


@pytest.mark.parametrize(("how", "word"), [("permute", "permuted"), ("uniform", "drawn anew")])
def test_the_page_and_its_numbers_say_it(how, word):
    result = study(data(2), how)
    half, whole = result.wrong_labels.values()
    for section in (study_page(result), report_section(result)):
        text = words(section)
        assert f"where 50% are {word}, {half:.1%} of the labels are really wrong" in text
        assert f"where 100% are {word}, {whole:.1%} of the labels are really wrong" in text
        assert re.search(r"(5\d|4\d)(\.\d+)?% of the labels are really wrong", text)
        rows = re.findall(r'<tr><th scope="row"><bdi>.*?</bdi></th><td><bdi>(.*?)</bdi></td>', section.html)
        assert rows == ["0.0%", f"{half:.1%}", f"{whole:.1%}"]
    numbers = json.loads(json.dumps(result.to_dict()))
    assert numbers["wrong_labels"] == {"0.5": half, "1.0": whole}
    summaries = numbers["cells"][0]["summaries"]
    np.testing.assert_allclose([summary["wrong_labels"] for summary in summaries], [0, half, whole])


def test_nothing_is_said_where_no_label_was_corrupted():
    config = probe.TrainingConfig(epochs=1, batch_size=100)
    result = probe.memorization(
        probe.MLP((2,)),
        data(2),
        config,
        n_samples=100,
        replicates=2,
        corruption=(0.0,),
        input_corruption=("none", "gaussian"),
    )
    assert result.wrong_labels == {}
    assert "really wrong" not in words(study_page(result))


def test_the_page_of_a_study_has_a_picture_of_each_part_and_each_cell_and_all_verdicts():
    config = probe.TrainingConfig(epochs=1, batch_size=50)
    result = probe.memorization(probe.MLP((2,)), data(2), config, n_samples=(50, 60), replicates=2)
    section = study_page(result)
    assert list(section.pictures) == [f"{part}_{k}" for part in parts_of(result) for k in (1, 2)]
    assert [claim.verdict for claim in section.claims] == list(result.verdicts)
    assert {claim.picture for claim in section.claims} == {"curves_1", "time_1"}
    text = words(section)
    assert f"{result.cells[1].architecture}, 60 images. Accuracy on the labels taught" in text
    assert f"The learning rate is {config.learning_rate:g} for all." in text
