"""Weights in .safetensors files: what is read, with which architecture, and what hostile ones get."""

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from probe import ModelFileError, load_network
from probe.imports._safetensors import is_safetensors, read_tensors
from probe.imports.exported._archive import open_program
from probe.imports.onnx._model import read_graph
from probe.imports.onnx._wire import Reader
from probe.safeh5 import DEFAULT_LIMITS, open_regular

SMALL = Path(__file__).parent / "fixtures" / "small.pt2"
X = np.random.default_rng(0).uniform(size=(3, 6, 6, 2)).astype("f4")

NAMES = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "<u2": "BF16", "<i8": "I64", "|u1": "U8", "|b1": "BOOL"}


def written(path, tensors, change=None, tail=b""):
    """Write tensors; `change` may change the header, and return bytes in its place."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, values in tensors.items():
        stored = values.tobytes()
        header[name] = {"dtype": NAMES[values.dtype.str], "shape": list(values.shape),
                        "data_offsets": [len(data), len(data) + len(stored)]}  # fmt: skip
        data += stored
    text = change(header) if change is not None else None
    text = json.dumps(header).encode() if text is None else text
    path.write_bytes(len(text).to_bytes(8, "little") + text + data + tail)
    return path


def state():
    """Return the weights of the program by the names of its module."""
    with open_program(SMALL) as program:
        fitted = dict(program.constants)
    names = {
        "p_conv_bias": "conv.bias", "p_conv_parametrizations_weight_original0": "conv.parametrizations.weight.original0",
        "p_conv_parametrizations_weight_original1": "conv.parametrizations.weight.original1", "p_fc_weight": "fc.weight",
        "p_fc_bias": "fc.bias", "p_norm_weight": "norm.weight", "p_norm_bias": "norm.bias",
        "b_norm_running_mean": "norm.running_mean", "b_norm_running_var": "norm.running_var",
    }  # fmt: skip
    return {name: fitted[own] for own, name in names.items()} | {
        "norm.num_batches_tracked": np.zeros((), "<i8")
    }


def test_types_become_float32_or_stay(tmp_path):
    values = np.array([[1.5, -2.0, 0.25]], "f4")
    tensors = {
        "wide": values.astype("<f8"), "half": values.astype("<f2"), "brain": (values.view("u4") >> 16).astype("<u2"),
        "whole": np.array([3, -4]), "flags": np.array([True, False]), "one": np.float32(7).reshape(()),
    }  # fmt: skip
    found = read_tensors(written(tmp_path / "a.safetensors", tensors))
    for name in ("wide", "half", "brain"):
        np.testing.assert_array_equal(found[name], values)
    assert {name: one.dtype.str for name, one in found.items()} == {
        "wide": "<f8", "half": "<f4", "brain": "<f4", "whole": "<i8", "flags": "|b1", "one": "<f4",
    }  # fmt: skip
    assert found["one"].shape == () and found["flags"].tolist() == [True, False]


def test_weights_go_into_the_graph_of_a_program(tmp_path):
    tensors = state()
    path = written(tmp_path / "a.safetensors", tensors)
    network = load_network(path, architecture=SMALL)
    np.testing.assert_array_equal(network.outputs(X), load_network(SMALL).outputs(X))
    tensors["fc.bias"] = tensors["fc.bias"] + np.float32(1) * np.arange(4, dtype="f4")
    other = load_network(written(path, tensors), architecture=SMALL)
    np.testing.assert_allclose(
        other.logits(X) - network.logits(X), np.tile(np.arange(4.0), (3, 1)), atol=1e-5
    )


def test_weights_go_into_the_graph_of_an_onnx_file(tmp_path):
    graph = SMALL.parent / "onnx" / "torch_squeeze_excite_opset17.onnx"
    with open_regular(graph, buffering=0) as file:
        stored = {name: one.array() for name, one in read_graph(Reader(file, DEFAULT_LIMITS)).arrays.items()}
    weights = {name: values for name, values in stored.items() if values.dtype == np.float32}
    assert len(weights) > 4
    path = written(tmp_path / "a.safetensors", weights)
    own, network = load_network(graph), load_network(path, architecture=graph)
    x = np.random.default_rng(0).uniform(size=(3, *own.input_shape)).astype("f4")
    np.testing.assert_array_equal(network.outputs(x), own.outputs(x))
    changed = {name: 2 * values for name, values in weights.items()}
    other = load_network(written(path, changed), architecture=graph)
    assert np.abs(other.outputs(x) - own.outputs(x)).max() > 1e-3
    name = next(iter(weights))
    changed["another"] = changed.pop(name)
    with pytest.raises(
        ModelFileError, match=f"a.safetensors, with .*'{name}' is missing, 'another' is not in it"
    ):
        load_network(written(path, changed), architecture=graph)


def test_what_counts_steps_may_be_left_out(tmp_path):
    tensors = state()
    del tensors["norm.num_batches_tracked"]
    load_network(written(tmp_path / "a.safetensors", tensors), architecture=SMALL)


def test_names_and_shapes_that_do_not_fit_are_listed_in_one_line(tmp_path):
    tensors = state()
    tensors["fc.weights"] = tensors.pop("fc.weight")
    tensors["conv.bias"] = np.zeros(4, "f4")
    path = written(tmp_path / "a.safetensors", tensors)
    with pytest.raises(ModelFileError) as refused:
        load_network(path, architecture=SMALL)
    message = str(refused.value)
    assert "\n" not in message and message.startswith(str(path)) and str(SMALL) in message
    for part in (
        "'fc.weight' is missing",
        "'conv.bias' has shape (4,) instead of (3,)",
        "'fc.weights' is not in it",
    ):
        assert part in message


def test_an_architecture_is_asked_for(tmp_path):
    path = written(tmp_path / "a.safetensors", state())
    with pytest.raises(
        ModelFileError, match=r"holds weights only; pass the graph .* --architecture MODEL.pt2"
    ):
        load_network(path)
    with pytest.raises(ModelFileError, match="is no architecture for"):
        load_network(path, architecture=path)
    with pytest.raises(ModelFileError, match="has its own architecture; leave out --architecture"):
        load_network(SMALL, architecture=SMALL)


def said(name="b", **changes):
    return lambda header: header[name].update(changes)


TWO = {"a": np.zeros((2, 3), "f4"), "b": np.ones(4, "f4")}

HOSTILE = {
    "overlapping": (said(data_offsets=[20, 36]), "overlap, at 'b'"),
    "the same data twice": (said(data_offsets=[0, 16]), "overlap"),
    "a hole": (said(data_offsets=[28, 44]), "leave bytes between them"),
    "beyond the end": (said(shape=[1 << 40], data_offsets=[24, 24 + (4 << 40)]), "more than the"),
    "a little beyond": (said(shape=[5], data_offsets=[24, 44]), "take 44 bytes, but it has 40"),
    "backwards": (said(data_offsets=[40, 24]), "takes 16 bytes as F32, but has those from 40 to 24"),
    "a wrong size": (said(shape=[3]), "takes 12 bytes as F32, but has those from 24 to 40"),
    "a wrong type": (said(dtype="F64"), "takes 32 bytes as F64"),
    "an unknown type": (said(dtype="F8_E4M3"), "is of type 'F8_E4M3'; F64, F32"),
    "a type that is none": (said(dtype=["F32"]), "is of type"),
    "an overflowing shape": (said(shape=[1 << 33, 1 << 33]), "takes 295147905179352825856 bytes"),
    "a negative shape": (said(shape=[-4]), "expected integers of at least 0"),
    "a shape of flags": (said(shape=[True, 4]), "expected integers of at least 0"),
    "many axes": (said(shape=[1] * 30 + [4]), "has 31 axes"),
    "no offsets": (lambda header: header["b"].pop("data_offsets"), "has data_offsets None"),
    "a text": (lambda header: header.update(b="F32"), "is of type None"),
    "a name twice": (lambda header: json.dumps(header).replace('"b"', '"a"').encode(), "names the same setting twice"),
    "a list": (lambda header: b"{" + b"[" * 500, "nested deeper|not valid JSON"),
    "no JSON": (lambda header: b"{nothing}", "not valid JSON"),
    "no text": (lambda header: b"{\xff\xfe}", "no UTF-8 text"),
    "a large header": (lambda header: b"{" + b" " * (5 << 20) + b"}", "its header has 5242882 bytes, more than"),
    "many tensors": (lambda header: json.dumps({str(k): {} for k in range(200_000)}).encode(), "brackets, commas"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused_at_once_and_in_one_line(tmp_path, name):
    change, match = HOSTILE[name]
    path = written(tmp_path / "a.safetensors", TWO, lambda header: (lambda text: text if isinstance(text, bytes) else None)(
        change(header)))  # fmt: skip
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(ModelFileError, match=match) as refused:
        read_tensors(path)
    seconds, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(refused.value) and str(refused.value).startswith(str(path))
    assert seconds < 3 and peak < 100 << 20


def test_what_is_cut_off_longer_or_no_such_file_is_refused(tmp_path):
    path = written(tmp_path / "a.safetensors", TWO)
    content = path.read_bytes()
    for n in (0, 4, 8, 20, len(content) - 1):
        path.write_bytes(content[:n])
        with pytest.raises(ModelFileError, match="cut off"):
            read_tensors(path)
    path.write_bytes(content + b"0")
    with pytest.raises(ModelFileError, match="but it has 41"):
        read_tensors(path)
    path.write_bytes((1 << 63).to_bytes(8, "little") + content[8:])
    assert not is_safetensors(path)
    with pytest.raises(ModelFileError, match="header would end behind its end"):
        read_tensors(path)
    with pytest.raises(ModelFileError, match="No such file"):
        read_tensors(tmp_path / "nothing")
    assert not is_safetensors(tmp_path) and not is_safetensors(SMALL)


def test_mutants_are_read_or_refused_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    content = bytearray(written(tmp_path / "a.safetensors", TWO).read_bytes())
    n_refused = 0
    for _ in range(300):
        mutant = bytearray(content)
        for _ in range(int(rng.integers(1, 4))):
            mutant[int(rng.integers(len(content) - 40))] = int(rng.integers(256))
        (tmp_path / "b").write_bytes(mutant)
        try:
            read_tensors(tmp_path / "b")
        except ModelFileError as error:
            assert "cannot be read (" not in str(error), str(error)
            n_refused += 1
    assert 200 < n_refused < 300


def test_sizes_beyond_all_arrays_are_refused_by_name(tmp_path):
    def enlarge(header):
        header["w"]["shape"] = [1 << 60, 1 << 60, 0]

    path = written(tmp_path / "a.safetensors", {"w": np.zeros((0, 3), "f4")}, enlarge)
    with pytest.raises(ModelFileError, match=r"'w' of shape .* or has larger axes"):
        read_tensors(path)
