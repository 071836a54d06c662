"""Edits: each against what is made by hand, the page's script, Keras, and recipes that make no sense."""

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import probe
from probe.interventions import EDITS, Clone, Flip, Prune, Shake, Silence, apply_edits, read_edits
from probe.interventions.edits import deviates
from probe.layers import ActivationLayer, Conv2D, Dense, Dropout, Flatten, Rescaling
from probe.network import Network

NAMES = ("hidden_1", "hidden_2", "output")


def chain(widths=(6, 5, 4, 3), dtype="f4", seed=0, activation="tanh"):
    rng = np.random.default_rng(seed)
    layers = [
        Dense(name, rng.normal(size=shape).astype(dtype), rng.normal(size=shape[1]).astype(dtype), activation)
        for name, shape in zip(NAMES, pairwise(widths), strict=True)
    ]
    return Network(tuple(layers), (widths[0],))


def kernels(network):
    return [layer.kernel for layer in network.dense_layers]


def inputs(n=50, n_in=6):
    return np.random.default_rng(9).normal(size=(n, n_in)).astype("f4")


def same(network, other):
    for one, two in zip(network.dense_layers, other.dense_layers, strict=True):
        np.testing.assert_array_equal(one.kernel, two.kernel)
        np.testing.assert_array_equal(one.bias, two.bias)


def test_silence_cuts_what_reads_the_unit():
    network = chain()
    edited = apply_edits(network, [Silence("hidden_1", 2)])
    expected = kernels(network)[1].copy()
    expected[2] = 0
    np.testing.assert_array_equal(kernels(edited)[1], expected)
    for k in (0, 2):
        np.testing.assert_array_equal(kernels(edited)[k], kernels(network)[k])
    # As if the unit put out nothing.
    hidden = network.activations(inputs())["hidden_1"].copy()
    hidden[:, 2] = 0
    rest = Network(network.layers[1:], (5,))
    np.testing.assert_allclose(edited.logits(inputs()), rest.logits(hidden), atol=1e-6)


@given(st.integers(0, 4), st.integers(0, 3), st.sampled_from(["relu", "sigmoid", "tanh", "step"]))
def test_clones_leave_the_function_as_it_is(first, second, activation):
    network = chain(activation=activation)
    edited = apply_edits(network, [Clone("hidden_1", first), Clone("hidden_2", second), Clone("hidden_1", 5)])
    assert [kernel.shape for kernel in kernels(edited)] == [(6, 7), (7, 5), (5, 3)]
    np.testing.assert_allclose(edited.logits(inputs()), network.logits(inputs()), atol=2e-6)


def test_a_clone_is_the_last_unit_and_has_half_of_the_outgoing_weights():
    network = chain()
    edited = apply_edits(network, [Clone("hidden_1", 1)])
    (first, second, _), (own, reader, _) = kernels(network), kernels(edited)
    np.testing.assert_array_equal(own[:, 5], first[:, 1])
    assert edited.dense_layers[0].bias[5] == network.dense_layers[0].bias[1]
    np.testing.assert_array_equal(reader[[1, 5]], np.stack([second[1] / 2] * 2))
    np.testing.assert_array_equal(reader[[0, 2, 3, 4]], second[[0, 2, 3, 4]])


def test_a_flip_changes_the_sign_of_the_pre_activation_and_two_change_nothing():
    network = chain()
    z, flipped = (
        each.pre_activations(inputs())["output"]
        for each in (network, apply_edits(network, [Flip("output", 1)]))
    )
    np.testing.assert_array_equal(flipped, z * [1, -1, 1])
    same(apply_edits(network, [Flip("hidden_2", 3), Flip("hidden_2", 3)]), network)


def test_the_smallest_weights_are_pruned_and_of_equal_ones_the_first():
    network = Network(
        (
            Dense("hidden_1", np.array([[1, -2], [2, 0.5]], "f4"), np.full(2, 1e-9, "f4")),
            Dense("output", np.array([[-1, 2], [3, 1]], "f4"), np.zeros(2, "f4")),
        ),
        (2,),
    )
    edited = apply_edits(network, [Prune(0.5)])
    np.testing.assert_array_equal(kernels(edited)[0], [[0, -2], [2, 0]])
    np.testing.assert_array_equal(kernels(edited)[1], [[0, 2], [3, 0]])
    assert (edited.dense_layers[0].bias > 0).all()
    # 0.5625 of 8 is 4.5, which is rounded up; the first of three weights of size 2 goes.
    np.testing.assert_array_equal(kernels(apply_edits(network, [Prune(0.5625)]))[0], [[0, 0], [2, 0]])
    only = apply_edits(network, [Prune(1.0, "output")])
    assert not kernels(only)[1].any() and kernels(only)[0].all()
    same(apply_edits(network, [Prune(0.0)]), network)


def mulberry32(seed):
    """As published, with Python's integers."""
    mask = 2**32 - 1
    while True:
        seed = (seed + 0x6D2B79F5) & mask
        t = ((seed ^ (seed >> 15)) * (seed | 1)) & mask
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & mask)) & mask
        yield t ^ (t >> 14)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
def test_deviates_are_those_of_the_published_generator(seed):
    bits = mulberry32(seed)
    expected = []
    for _ in range(6):
        radius, angle = np.sqrt(-2 * np.log((next(bits) + 1) / 2**32)), 2 * np.pi * next(bits) / 2**32
        expected += [radius * np.cos(angle), radius * np.sin(angle)]
    np.testing.assert_allclose(deviates(11, seed), expected[:11], rtol=1e-12)


def test_deviates_are_normal():
    z = deviates(100_001, 7)
    assert len(z) == 100_001
    assert abs(z.mean()) < 0.015 and abs(z.std() - 1) < 0.01
    assert (np.abs(z) < 1.96).mean() == pytest.approx(0.95, abs=0.003)


def test_noise_moves_each_weight_by_a_share_of_the_deviation_of_its_kernel():
    network = chain(dtype="f8")
    edited = apply_edits(network, [Shake(0.3, 5)])
    z, begin = deviates(62, 5), 0
    for before, after in zip(kernels(network), kernels(edited), strict=True):
        moved = 0.3 * before.std() * z[begin : begin + before.size].reshape(before.shape)
        np.testing.assert_allclose(after, before + moved, rtol=1e-12)
        begin += before.size
    only = apply_edits(network, [Shake(0.3, 5, "hidden_2")])
    np.testing.assert_allclose(
        kernels(only)[1], kernels(network)[1] + 0.3 * kernels(network)[1].std() * z[:20].reshape(5, 4)
    )
    np.testing.assert_array_equal(kernels(only)[0], kernels(network)[0])
    same(apply_edits(network, [Shake(0.0, 5)]), network)


def test_later_edits_see_what_earlier_ones_left():
    network = chain()
    edits = [Clone("hidden_1", 0), Flip("hidden_1", 5), Prune(0.2), Shake(0.1, 3), Silence("hidden_1", 5)]
    one_by_one = network
    for edit in edits:
        one_by_one = apply_edits(one_by_one, [edit])
    same(apply_edits(network, edits), one_by_one)
    assert apply_edits(network, []) is network


def test_chains_with_activations_dropout_and_a_scaled_image_are_edited():
    rng = np.random.default_rng(0)
    network = Network(
        (
            Rescaling("range", 255.0, 0.0),
            Flatten("flatten"),
            Dense("a", rng.normal(size=(6, 4)).astype("f4")),
            ActivationLayer("relu", "relu"),
            Dropout("drop", 0.5),
            Dense("b", rng.normal(size=(4, 3)).astype("f4"), activation_name="softmax"),
        ),
        (2, 3),
    )
    edited = apply_edits(network, [Clone("a", 3), Clone("a", 4)])
    x = rng.random((20, 2, 3)).astype("f4")
    np.testing.assert_allclose(edited.logits(x), network.logits(x), rtol=1e-4, atol=1e-3)
    assert edited.layer("a").bias is None


def convolution():
    kernel = np.ones((2, 2, 1, 2), "f4")
    dense = Dense("output", np.ones((8, 3), "f4"))
    return Network((Conv2D("conv", kernel, np.zeros(2, "f4")), Flatten("flat"), dense), (3, 3, 1))


def shared():
    kernel = np.ones((3, 3), "f4")
    kernel.flags.writeable = False
    return Network((Dense("a@0", kernel), Dense("a@1", kernel)), (3,))


def rows():
    return Network(
        (Dense("a", np.ones((3, 2), "f4")), Flatten("f"), Dense("b", np.ones((4, 2), "f4"))), (2, 3)
    )


def branched():
    layers = Dense("a", np.ones((3, 3), "f4")), Dense("b", np.ones((3, 3), "f4"))
    return Network(layers, (3,), wiring=((0,), (0,)), output_names=("b",))


@pytest.mark.parametrize("network", [convolution(), shared(), rows(), branched()], ids=range(4))
def test_other_networks_are_refused(network):
    with pytest.raises(probe.InputError, match="edits need a chain of dense layers"):
        apply_edits(network, [Prune(0.5)])


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (
            Silence("hidden_9", 0),
            r"edit 1 \(silence\): layer must be one of hidden_1, hidden_2, output; got 'hidden_9'",
        ),
        (Silence("hidden_1", 5), "unit of 'hidden_1' must be an integer from 0 to 4, got 5"),
        (Silence("hidden_1", -1), "unit of 'hidden_1' must be an integer from 0 to 4, got -1"),
        (
            Silence("output", 0),
            "layer must be a hidden layer to silence a unit of, got the last one, 'output'",
        ),
        (Clone("output", 0), "nothing reads its units. Pass one of hidden_1, hidden_2"),
        (Flip("output", 3), "unit of 'output' must be an integer from 0 to 2, got 3"),
        (Flip("output", True), "unit of 'output' must be an integer"),
        (Prune(1.5), "share must be a finite number at least 0 and at most 1, got 1.5"),
        (Prune("0.5"), "share must be a finite number"),
        (Prune(0.5, "x"), "layer must be one of"),
        (Shake(-1, 0), "scale must be a finite number at least 0 and at most 100"),
        (Shake(101, 0), "scale must be"),
        (Shake(1, -1), "seed must be an integer from 0 to 4294967295"),
        (Shake(1, 2**32), "seed must be an integer from 0 to 4294967295"),
        (Shake(1, 1.5), "seed must be an integer"),
    ],
)
def test_edits_that_do_not_fit_are_refused(edit, match):
    with pytest.raises(probe.InputError, match=match):
        apply_edits(chain(), [edit])


def test_weights_that_overflow_are_refused():
    network = Network((Dense("a", np.array([[1e38, -1e38]], "f4")),), (1,))
    with pytest.raises(probe.InputError, match="weights of 'a' overflow"):
        apply_edits(network, [Shake(100.0, 1)])


def test_what_a_recipe_costs_is_bounded():
    with pytest.raises(probe.InputError, match="edits must be at most 1,000 for this network, got 1,001"):
        apply_edits(chain(), [Flip("output", 0)] * 1_001)
    wide = Network((Dense("a", np.zeros((2_000, 2_000), "f4")),), (2_000,))
    with pytest.raises(probe.InputError, match="edits must be at most 500 for this network, got 501"):
        apply_edits(wide, [Flip("a", 0)] * 501)


RECIPE = [
    {"op": "silence", "layer": "hidden_1", "unit": 4},
    {"op": "clone", "layer": "hidden_1", "unit": 0},
    {"op": "flip", "layer": "hidden_2", "unit": 3},
    {"op": "prune", "share": 0.5},
    {"op": "prune", "share": 0.25, "layer": "output"},
    {"op": "noise", "scale": 0.1, "seed": 1},
    {"op": "noise", "scale": 1, "seed": 4294967295, "layer": "hidden_1"},
]


def test_recipes_are_read_and_written():
    edits = read_edits(json.dumps(RECIPE))
    assert edits[0] == Silence("hidden_1", 4) and edits[-1] == Shake(1, 4294967295, "hidden_1")
    assert [edit.to_dict() for edit in edits] == RECIPE
    assert {edit["op"] for edit in RECIPE} == set(EDITS)
    assert read_edits("[]") == ()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no JSON that is read"),
        ("[", "no JSON that is read"),
        ("{}", "must be a JSON array of edits, got {}"),
        ("null", "must be a JSON array of edits, got None"),
        ("[3]", "edit 1 must be a JSON object with an op, got 3"),
        ("[[]]", "edit 1 must be a JSON object"),
        ("[{}]", "op of edit 1 must be one of silence, clone, flip, prune, noise; got None"),
        ('[{"op": "explode"}]', "got 'explode'"),
        ('[{"op": []}]', r"got \[\]"),
        ('[{"op": "silense", "layer": "a", "unit": 0}]', "did you mean 'silence'"),
        ('[{"op": "silence", "unit": 0}]', r"edit 1 \(silence\) must have layer, unit; got unit"),
        ('[{"op": "silence", "layer": "a", "unit": 0, "x": 1}]', "must have layer, unit; got layer, unit, x"),
        ('[{"op": "prune"}]', "must have share, and layer if it is one layer's; got none"),
        ('[{"op": "prune", "share": 0.5, "layer": null}]', "layer must be a name, got None"),
        ('[{"op": "flip", "layer": 3, "unit": 0}]', "layer must be a name, got 3"),
        ('[{"op": "prune", "share": NaN}]', "finite numbers, got NaN"),
        ('[{"op": "prune", "share": -Infinity}]', "finite numbers, got -Infinity"),
        ('[{"op": "prune", "op": "flip", "share": 1}]', "a key twice"),
        ('[{"op": "prune", "share": 1e999}]', None),
        (json.dumps([{"op": "prune", "share": 0}] * 1_001), "at most 1,000 edits, got 1,001"),
        ("[" * 500, "nested deeper"),
        ("[" + "1," * 400_000 + "1]", "brackets, commas and colons"),
        ("[" + "9" * 5_000 + "]", "no JSON that is read"),
        ('["\\ud800"]', "half of a character"),
    ],
)
def test_nonsense_in_recipes_is_refused(text, match):
    with pytest.raises(probe.InputError, match=match):
        apply_edits(chain(), read_edits(text))


def test_values_of_other_kinds_are_refused_with_the_number_of_the_edit():
    for value in ("4", None, True, 1.5, [4], {}):
        text = json.dumps(
            [{"op": "prune", "share": 0.1}, {"op": "silence", "layer": "hidden_1", "unit": value}]
        )
        with pytest.raises(probe.InputError, match=r"edit 2 \(silence\): unit"):
            apply_edits(chain(), read_edits(text))


SCRIPT = """
import { readFileSync } from "node:fs";
import { decodePayload, Network } from "PAGE/model.js";
import { edited } from "PAGE/model_surgery.js";
const given = await decodePayload(JSON.parse(readFileSync("GIVEN", "utf8")));
const network = edited(new Network(given.network), given.recipe);
const dense = network.layers.filter(({ kernel }) => kernel);
const found = dense.map(({ kernel, bias }) => [[...kernel.values], [...bias.values]]);
process.stdout.write(JSON.stringify(found));
"""


def test_the_page_computes_the_same(tmp_path, trained):
    page = pytest.importorskip("probe.pages.page")
    node, folder = shutil.which("node"), Path(page.__file__).parent
    if node is None or not (folder / "model_surgery.js").is_file():
        pytest.skip("node is not installed")
    recipe = [*RECIPE, {"op": "clone", "layer": "hidden_1", "unit": 12}, {"op": "prune", "share": 0.123}]
    given = {"network": page.encoded_network(trained), "recipe": recipe}
    (tmp_path / "given.json").write_text(json.dumps(given))
    script = SCRIPT.replace("PAGE", folder.as_uri()).replace("GIVEN", (tmp_path / "given.json").as_posix())
    (tmp_path / "main.mjs").write_text(script)
    done = subprocess.run([node, str(tmp_path / "main.mjs")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours = apply_edits(trained, read_edits(json.dumps(recipe)))
    for layer, (kernel, bias) in zip(ours.dense_layers, json.loads(done.stdout), strict=True):
        np.testing.assert_allclose(layer.kernel.ravel(), kernel, atol=1e-6)
        np.testing.assert_allclose(layer.bias, bias, atol=1e-6)


def edited_file(trained, folder, recipe=RECIPE, **more):
    from probe.workflow import edit_model

    probe.save_network(trained, folder / "m.h5", provenance={"seed": 3, "history": {"cost": [1.0]}})
    (folder / "r.json").write_text(json.dumps(recipe))
    return edit_model(folder / "m.h5", folder / "r.json", edited=folder / "e.h5", **more)


def test_the_command_writes_what_probe_and_keras_open(trained, digits, tmp_path):
    from probe.kerasfile import read_provenance

    written = edited_file(trained, tmp_path)
    assert written.files == (tmp_path / "e.h5",)
    expected = apply_edits(trained, read_edits(json.dumps(RECIPE)))
    same(probe.load_network(tmp_path / "e.h5"), expected)
    facts = read_provenance(tmp_path / "e.h5")
    assert facts["edited_from"] == "m.h5" and facts["edits"] == RECIPE and facts["seed"] == 3
    # The training was not that of the edited network.
    assert "history" not in facts and probe.load_film(tmp_path / "e.h5") is None
    with pytest.raises(probe.InputError, match=r"e\.h5 exists already"):
        edited_file(trained, tmp_path)
    edited_file(trained, tmp_path, overwrite=True)
    keras = pytest.importorskip("keras")
    model = keras.models.load_model(tmp_path / "e.h5", compile=False)
    images = digits.test.images[:20]
    np.testing.assert_allclose(model.predict(images, verbose=0), expected.outputs(images), atol=1e-5)


def test_the_command_overwrites_nothing_else(trained, tmp_path):
    from probe.workflow import edit_model

    edited_file(trained, tmp_path)
    model, recipe = tmp_path / "m.h5", tmp_path / "r.json"
    for to, match in (
        (model, "must be another file than the model"),
        (tmp_path / "e.npz", "--out must end in .h5"),
    ):
        with pytest.raises(probe.InputError, match=match):
            edit_model(model, recipe, edited=to)
    for bad in (tmp_path / "nothing.json", tmp_path, model):
        with pytest.raises(probe.InputError, match="Pass a recipe that the page saved"):
            edit_model(model, bad, edited=tmp_path / "f.h5")
    recipe.write_text("[" + " " * (1 << 20) + "]")
    with pytest.raises(probe.InputError, match="1,048,576 bytes of a recipe"):
        edit_model(model, recipe, edited=tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()
