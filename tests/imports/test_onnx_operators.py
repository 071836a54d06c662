"""Every operator, in several versions of the set, against what onnxruntime puts out."""

import time
from collections import Counter

import numpy as np
import pytest
from onnx_cases import CASES, EXPECTED
from onnx_writing import chain, graph, model, node, value

from probe import ModelFileError
from probe.imports.onnx import read_onnx
from probe.storage import load_network, save_network


def network_input(network, x):
    """Return what the network takes for what the graph takes: images with their channels last."""
    return x if network.input_shape == x.shape[1:] else np.moveaxis(x, 1, -1)


def check(network, x, expected):
    found = network.outputs(network_input(network, x))
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-5, atol=1e-5)


def test_each_case_has_a_name_of_its_own():
    assert max(Counter(case.name for case in CASES).values()) == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outputs_are_those_of_onnxruntime(case, tmp_path):
    (tmp_path / "one.onnx").write_bytes(case.content)
    with np.load(EXPECTED) as expected:
        check(read_onnx(tmp_path / "one.onnx"), case.x, expected[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_read_can_be_stored(case, tmp_path):
    (tmp_path / "one.onnx").write_bytes(case.content)
    network = read_onnx(tmp_path / "one.onnx")
    again = load_network(save_network(network, tmp_path / "one.h5"))
    x = network_input(network, case.x)
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))
    assert again.layer_names == network.layer_names


def test_the_first_sets_of_operators_say_where_a_constant_lies(tmp_path):
    shift = np.float32([1, -2, 3])
    content = chain(
        [node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)], ("n", 3, 5, 6), {"b": shift}, opset=6
    )
    (tmp_path / "one.onnx").write_bytes(content)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32)
    check(read_onnx(tmp_path / "one.onnx"), x, x + shift[:, None, None])


def test_live_outputs_are_those_that_are_stored():
    onnxruntime = pytest.importorskip("onnxruntime")
    onnxruntime.set_default_logger_severity(4)
    with np.load(EXPECTED) as expected:
        for case in CASES:
            session = onnxruntime.InferenceSession(case.content, providers=["CPUExecutionProvider"])
            (live,) = session.run(["y"], {"x": case.x})
            np.testing.assert_allclose(live, expected[case.name], rtol=1e-5, atol=1e-5, err_msg=case.name)


def test_indices_from_the_end_are_those_that_they_mean(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32)

    def read(indices):
        (tmp_path / "one.onnx").write_bytes(
            chain([node("Gather", ["x", "i"], ["y"], axis=1)], ("n", 3, 5, 6), {"i": np.array(indices)})
        )
        return read_onnx(tmp_path / "one.onnx")

    check(read([-2, -1]), x, x[:, [-2, -1]])
    check(read(-1), x, x[:, -1])
    check(read([-1, 0]), x, x[:, [-1, 0]])
    with pytest.raises(
        ModelFileError, match=r"picks an array of indices of shape \(1, 2\); only one or a list"
    ):
        read([[0, 1]])
    with pytest.raises(ModelFileError, match="picks indices outside of an axis of length 3"):
        read([3])


def test_a_layer_for_each_of_very_many_groups_is_refused_soon(tmp_path):
    began = time.process_time()
    (tmp_path / "one.onnx").write_bytes(
        chain([node("ConvTranspose", ["x", "w"], ["y"], group=20_000)], ("n", 20_000, 1, 1),
              {"w": np.zeros((20_000, 1, 1, 1), np.float32)})
    )  # fmt: skip
    with pytest.raises(ModelFileError, match="it becomes more than the 5,000 layers that are made"):
        read_onnx(tmp_path / "one.onnx")
    assert time.process_time() - began < 1


def of_integers(path, nodes, arrays=None):
    x = value("x", ("n", 3, 5, 6), 2)
    path.write_bytes(model(graph(nodes, [x], [value("y", None)], arrays or {})))
    return read_onnx(path)


def test_an_integer_image_is_read_where_nothing_computes_in_integers(tmp_path):
    moved = [node("Transpose", ["x"], ["h"], perm=[0, 1, 3, 2]), node("Cast", ["h"], ["f"], to=1)]
    network = of_integers(
        tmp_path / "one.onnx", [*moved, node("Div", ["f", "s"], ["y"])], {"s": np.float32(255)}
    )
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 6)).astype(np.float32)
    check(network, x, x.swapaxes(2, 3) / 255)


@pytest.mark.parametrize("op", ["Add", "Div", "Mul"])
def test_what_computes_in_integers_is_refused(tmp_path, op):
    nodes = [node(op, ["x", "s"], ["h"], "early"), node("Cast", ["h"], ["y"], to=1)]
    with pytest.raises(
        ModelFileError, match=rf"'early' \({op}\) computes in integers, .*; cast the image to float f"
    ):
        of_integers(tmp_path / "one.onnx", nodes, {"s": np.uint8(2)})


@pytest.mark.parametrize("kind", [10, 16])
def test_half_precision_in_between_is_refused(tmp_path, kind):
    cast = [node("Cast", ["x"], ["h"], to=kind), node("Cast", ["h"], ["y"], to=1)]
    (tmp_path / "one.onnx").write_bytes(chain(cast))
    with pytest.raises(ModelFileError, match=r"rounds values .* to half precision; export it in float32"):
        read_onnx(tmp_path / "one.onnx")
    scaled = [cast[0], node("Mul", ["h", "s"], ["g"]), node("Cast", ["g"], ["y"], to=1)]
    (tmp_path / "one.onnx").write_bytes(chain(scaled, ("n", 3), {"s": np.float16(2)}))
    x = np.float32([[1, 2, 3]])
    check(read_onnx(tmp_path / "one.onnx"), x, 2 * x)
