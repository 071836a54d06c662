"""`probe landscape` and `probe minima` from files to files, on models of this project and of others."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from result_checks import table_rows, words
from test_workflow_memorize import run_design

import probe
from probe.analyses.landscape import Landscape
from probe.analyses.minima import Minima, MinimaDesign
from probe.catalogue import analysis_of
from probe.cli import run
from probe.datasets import resized
from probe.workflow._sections import sections_about

CNN = Path(__file__).parents[1] / "kerasfile/fixtures/keras3/cnn.keras"

DESIGN = MinimaDesign(
    architectures=(probe.MLP((2,)), probe.MLP((6,))),
    n_networks=12,
    n_samples=100,
    config=probe.TrainingConfig(
        epochs=8, batch_size=20, learning_rate=1.0, weight_decay=1e-2, evaluation="end"
    ),
    polish=30,
    n_connected=3,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("minima")
    return out, run_design("minima", replace(DESIGN, n_networks=10), out)


def numbers(out):
    return json.loads((out / "results.json").read_text())


def test_a_page_a_result_and_numbers_are_written(written):
    out, found = written
    assert found.files[0] == out / "index.html"
    page = (out / "index.html").read_text()
    for heading in ("Are they equally good?", "Are they minima?", "What lies between them?"):
        assert heading in page
    kept = probe.load_result(out / "results.h5", Minima)
    assert [len(width.test_cost) for width in kept.widths] == [10, 10]
    results = numbers(out)
    assert [claim["decision"] for claim in results["claims"]] == [v.decision for v in kept.verdicts]
    assert results["design"]["margin"] == 0.02
    measured = results["results"]["minima"]["widths"][0]
    assert measured["name"] == "64-2-10 sigmoid"
    np.testing.assert_allclose(measured["test_cost"], kept.widths[0].test_cost)
    for name in ("costs", "curvature", "connections_1", "connections_2"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 5000


def test_more_networks_are_added_and_fewer_are_refused(written, undrawn):
    out, _ = written
    before = {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()}
    run_design("minima", DESIGN, out)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2
    assert len(probe.load_result(out / "results.h5", Minima).widths[0].test_cost) == 12
    with pytest.raises(probe.InputError, match="networks"):
        run_design("minima", replace(DESIGN, n_networks=10), out)
    with pytest.raises(probe.InputError):
        run_design("minima", replace(DESIGN, n_networks=14, polish=31), out)


def test_an_interrupted_study_goes_on(tmp_path, undrawn):
    def interrupt(event):
        if event.stage == "minima" and event.done == 1:
            raise KeyboardInterrupt

    design = replace(DESIGN, architectures=(probe.MLP((3,)),), n_networks=15, n_connected=0)
    found = run_design("minima", design, tmp_path, progress=interrupt)
    assert found.interrupted
    assert len(list((tmp_path / "trials").iterdir())) == 1
    page = (tmp_path / "index.html").read_text()
    assert "(interrupted; run the same command again to go on)" in page and "10 networks were trained" in page
    again = run_design("minima", design, tmp_path)
    assert not again.interrupted
    page = (tmp_path / "index.html").read_text()
    assert "interrupted" not in page and "15 networks were trained" in page
    straight = probe.minima(
        design.architectures,
        probe.load_dataset("digits"),
        design.config,
        n_networks=15,
        n_samples=100,
        polish=30,
        n_connected=0,
    )
    kept = probe.load_result(tmp_path / "results.h5", Minima)
    np.testing.assert_array_equal(kept.widths[0].test_cost, straight.widths[0].test_cost)
    np.testing.assert_array_equal(kept.widths[0].smallest, straight.widths[0].smallest)


def test_words_of_minima_are_those_of_the_result(written):
    out, _ = written
    result = probe.load_result(out / "results.h5", Minima)
    costs, curvature, between = sections_about(analysis_of("minima"), result)
    rendered = costs.rendered()
    assert [claim.verdict for claim in rendered.claims] == list(result.verdicts)
    assert {claim.picture for claim in rendered.claims} <= rendered.pictures.keys()
    for width, row in zip(result.widths, table_rows(costs)[0], strict=True):
        assert row[:3] == ["-".join(map(str, width.hidden)), str(len(width.test_cost)), "0"]
        assert f"{np.median(width.test_accuracy):.2%}" == row[3]
    n_minima = sum(int(width.is_minimum.sum()) for width in result.widths)
    assert f"{n_minima} of {sum(len(w.smallest) for w in result.widths)} networks are minima" in words(
        curvature
    )
    found = result.widths[0].connections
    assert found is not None
    assert f"{found.before[0, 1]:.3g}" in table_rows(between)[0][0][2]


def test_a_landscape_of_a_keras_model(tmp_path, request):
    rng = np.random.default_rng(0)
    network = probe.load_network(CNN)
    n = 60
    images = rng.random((n, *network.input_shape), np.float32)
    labels = np.arange(n) % network.n_classes
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    out = tmp_path / "out"
    arguments = ["landscape", str(CNN), "--data", str(tmp_path / "data.npz"), "--out", str(out)]
    small = ["--networks", "2", "--directions", "5", "--updates", "8", "--resolution", "3"]
    assert run([*arguments, *small]) == 0
    result = probe.load_result(out / "results.h5", Landscape)
    assert result.descent.along_random.shape == (3, 7, 5)
    results = numbers(out)
    assert set(results["results"]["landscape"]) >= {"descent", "activations", "path", "surface"}
    assert [claim["verdict"] for claim in results["claims"]] == ["steepest", "continuous"]
    page = (out / "index.html").read_text()
    for heading in ("Is it the steepest way down?", "Could it learn with steps?", "What is around it?"):
        assert heading in page
    request.getfixturevalue("undrawn")
    sections = [section.rendered() for section in sections_about(analysis_of("landscape"), result)]
    assert [section.key for section in sections] == ["descent", "activations", "path", "surface"]
    for section in sections:
        assert {claim.picture for claim in section.claims} <= section.pictures.keys()
        for name in section.pictures:
            assert (out / "figures" / f"{name}.png").exists()


def test_small_data_and_few_networks_need_no_further_options(tmp_path, capfd):
    short = ["--epochs", "1", "--polish", "0", "--curvature", "none", "--hidden", "2", "--networks", "3"]
    assert run(["minima", "--data", "digits", *short, "--out", str(tmp_path)]) == 0
    found = probe.load_result(tmp_path / "results.h5", Minima)
    assert found.n_train == len(probe.load_dataset("digits").train)
    assert found.widths[0].connections.before.shape == (3, 3)
    assert run(["minima", "--data", "digits", *short, "--samples", "2000", "--out", str(tmp_path)]) == 2
    assert "--samples must be an integer from 2 to 1442, got 2000" in capfd.readouterr().err


def test_minima_from_the_command_line(tmp_path, capfd):
    arguments = ["minima", "--data", "digits", "--hidden", "3", "--networks", "2", "--samples", "60"]
    more = [
        "--epochs",
        "3",
        "--polish",
        "0",
        "--curvature",
        "none",
        "--connected",
        "0",
        "--out",
        str(tmp_path),
    ]
    assert run([*arguments, *more]) == 0
    assert "inconclusive" in capfd.readouterr().out
    assert set(numbers(tmp_path)["results"]) == {"minima"}
    assert {claim["section"] for claim in numbers(tmp_path)["claims"]} == {"minima"}
    page = (tmp_path / "index.html").read_text()
    assert "Are they equally good?" in page
    assert "Are they minima?" not in page and "What lies between them?" not in page


@pytest.mark.parametrize("shape", [(4, 4), (10, 10), (3, 5), (8, 8), (16, 8)])
def test_images_of_another_size_keep_their_ink(shape):
    split = probe.load_dataset("digits")
    small = resized(split, shape)
    assert small.train.image_shape == shape
    np.testing.assert_allclose(
        small.train.images.mean(axis=(1, 2)), split.train.images.mean(axis=(1, 2)), atol=1e-6
    )
    assert small.test.labels is split.test.labels or (small.test.labels == split.test.labels).all()


def test_half_the_size_is_the_mean_of_four_pixels():
    split = probe.load_dataset("digits")
    images = split.train.images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(resized(split, (4, 4)).train.images, images, atol=1e-6)
    color = probe.Dataset(np.repeat(split.train.images[:5, ..., None], 3, axis=-1), split.train.labels[:5],
                           split.train.class_names)  # fmt: skip
    both = probe.Split(color, color, "color")
    np.testing.assert_allclose(resized(both, (4, 4)).test.images[..., 1], images[:5], atol=1e-6)
    with pytest.raises(probe.InputError, match="integer of at least 1"):
        resized(split, (0, 4))
