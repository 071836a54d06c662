"""Exported programs of PyTorch, read without it: what a real one gives, and what hostile ones get.

`fixtures/small.pt2` was written by `torch.export.save` of PyTorch 2.13; `small.npy` is what its module gave.
"""

import json
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from probe import ModelFileError, load_network

FIXTURES = Path(__file__).parent / "fixtures"
SMALL = FIXTURES / "small.pt2"
X = np.moveaxis(np.linspace(-1, 1, 3 * 2 * 6 * 6, dtype="f4").reshape(3, 2, 6, 6), 1, -1)

MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


def members():
    with zipfile.ZipFile(SMALL) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def written(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name if name.startswith("serialized") else f"small/{name}", data)
    return path


def changed(path, name, change):
    """Write the program with one of its JSON members changed."""
    content = members()
    described = json.loads(content[name])
    change(described)
    return written(path, content | {name: json.dumps(described)})


def nodes(model):
    return model["graph_module"]["graph"]["nodes"]


def node(model, target):
    return next(one for one in nodes(model) if one["target"].split(".")[3] == target)


def argument(model, target, name):
    return next(one["arg"] for one in node(model, target)["inputs"] if one["name"] == name)


def test_outputs_are_those_of_the_module_and_torch_is_not_imported():
    np.testing.assert_allclose(load_network(SMALL).outputs(X), np.load(FIXTURES / "small.npy"), atol=1e-6)
    code = (
        f"import probe, sys; n = probe.load_network({str(SMALL)!r}); "
        "print(n.input_shape, n.n_classes, sorted({'torch', 'pickle'} & set(sys.modules) - {'pickle'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(6, 6, 2) 4 []"


def test_layers_are_called_after_modules():
    network = load_network(SMALL)
    assert {"conv", "norm", "fc", "relu", "max_pool2d", "flatten"} <= set(network.layer_names)
    assert network.layer("fc").activation.name == "softmax"


def test_a_new_archive_of_the_same_members_is_read_alike(tmp_path):
    again = load_network(written(tmp_path / "a.pt2", members()))
    np.testing.assert_array_equal(again.outputs(X), load_network(SMALL).outputs(X))


def test_types_of_weights(tmp_path):
    for dtype, number in (("<f2", 6), ("<f8", 8), ("bfloat16", 13)):
        content = members()
        config = json.loads(content[WEIGHTS])
        meta = config["config"]["fc.weight"]
        meta["tensor_meta"]["dtype"] = number
        values = np.frombuffer(content[f"data/weights/{meta['path_name']}"], "<f4")
        as_stored = (values.view("u4") >> 16).astype("<u2") if dtype == "bfloat16" else values.astype(dtype)
        content[f"data/weights/{meta['path_name']}"] = as_stored.tobytes()
        content[WEIGHTS] = json.dumps(config)
        network = load_network(written(tmp_path / "a.pt2", content))
        np.testing.assert_allclose(network.outputs(X), np.load(FIXTURES / "small.npy"), atol=5e-3)


def test_open_sizes_are_asked_for(tmp_path):
    def opened(model):
        sizes = model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[2] = sizes[3] = {"as_expr": {"expr_str": "s1", "hint": None}}

    path = changed(tmp_path / "a.pt2", MODEL, opened)
    with pytest.raises(
        ModelFileError, match=r"input 'x' leaves sizes open, \('\?', 2, '\?', '\?'\); pass --input-shape"
    ):
        load_network(path)


OLD = {"serialized_exported_program.json": b"{}", "serialized_state_dict.pt": b"PK", "version": b"8.2"}

HUGE = 10**12


def meta(key, value, name="fc.weight"):
    def change(config):
        config["config"][name]["tensor_meta"][key] = value

    return WEIGHTS, change


def entry(key, value):
    return WEIGHTS, lambda config: config["config"]["fc.weight"].update({key: value})


def graph(change):
    return MODEL, change


def inserted(target, arguments, before="chunk", reading="max_pool2d"):
    """Put an operation in front of another one, which reads what it gives."""

    def change(model):
        index = nodes(model).index(node(model, before))
        inputs = [{"name": name, "arg": arg, "kind": 1} for name, arg in arguments.items()]
        new = {"target": f"torch.ops.aten.{target}", "inputs": inputs, "outputs": [{"as_tensor": {"name": "new"}}],
               "metadata": {}}  # fmt: skip
        nodes(model).insert(index, new)
        text = json.dumps(nodes(model)[index + 1]["inputs"]).replace(f'"{reading}"', '"new"')
        nodes(model)[index + 1]["inputs"] = json.loads(text)

    return MODEL, change


X_IN = {"as_tensor": {"name": "max_pool2d"}}

HOSTILE = {
    "pickled weights": (entry("use_pickle", True), "it keeps 'fc.weight' in a pickle, which can run code"),
    "a path outside": (entry("path_name", "../../../../etc/passwd"), "has no values of 'fc.weight'"),
    "no description": (entry("tensor_meta", None), "has no values of 'fc.weight'"),
    "a huge tensor": (meta("sizes", [{"as_int": HUGE}, {"as_int": HUGE}]), "does not fit into what is stored"),
    "strides beyond": (meta("strides", [{"as_int": 1 << 40}, {"as_int": 1}]), "does not fit into what is stored"),
    "negative strides": (meta("strides", [{"as_int": -1}, {"as_int": 1}]), "has strides that are not known"),
    "an offset beyond": (meta("storage_offset", {"as_int": 1}), "does not fit into what is stored"),
    "other sizes": (meta("sizes", [{"as_int": 4}, {"as_int": 11}]), "multiplies values of shape|gives values of shape"),
    "an unknown type": (meta("dtype", 29), "'fc.weight' is of a type or layout that is not read"),
    "sparse": (meta("layout", 1), "'fc.weight' is of a type or layout"),
    "an unknown operation": (
        graph(lambda model: node(model, "relu").update(target="torch.ops.aten.cumsum.default")),
        r"a.pt2: aten.cumsum at .*, line \d+ .*, cannot be taken over; write it with other operations",
    ),
    "a custom operation": (
        graph(lambda model: node(model, "relu").update(target="torch.ops.evil.run.default")), "evil.run at .*cannot be"),
    "an attribute of Python": (
        graph(lambda model: node(model, "relu").update(target="os.system")), "os.system at .* cannot be taken over"),
    "no name of an operation": (
        graph(lambda model: node(model, "relu").update(target="__import__('os')")), "which is no name of one"),
    "reading what is not there": (
        graph(lambda model: argument(model, "relu", "self").update(as_tensor={"name": "nothing"})), "reads 'nothing'"),
    "reading itself": (
        graph(lambda model: argument(model, "relu", "self").update(as_tensor={"name": "relu"})), "reads 'relu', which"),
    "no nodes": (graph(lambda model: model["graph_module"]["graph"].pop("nodes")), "has a graph without nodes"),
    "a list for a graph": (graph(lambda model: model.update(graph_module=[])), "has a graph without graph_module"),
    "many nodes": (graph(lambda model: nodes(model).extend([nodes(model)[0]] * 20_000)), "more than|brackets"),
    "a name that is none": (
        graph(lambda model: node(model, "relu")["outputs"].__setitem__(0, {"as_tensor": {"name": "a\x1b[2J"}})), "no name"),
    "huge strides of a convolution": (
        graph(lambda model: node(model, "conv2d")["inputs"].append(
            {"name": "padding", "arg": {"as_ints": [HUGE, HUGE]}, "kind": 1})), "would put out|integer|cannot be taken"),
    "a negative window": (
        graph(lambda model: argument(model, "max_pool2d", "kernel_size").update(as_ints=[-2, 2])), "pool_size|cannot be"),
    "an unknown argument": (
        graph(lambda model: node(model, "relu")["inputs"].append(
            {"name": "eval", "arg": {"as_int": 1}, "kind": 1})), "has arguments that cannot be taken over"),
    "an enlarged image": (
        inserted("upsample_nearest2d.vec", {"input": X_IN, "output_size": {"as_ints": [200_000] * 2}}), "would put out"),
    "a huge padding": (inserted("constant_pad_nd.default", {"self": X_IN, "pad": {"as_ints": [HUGE, 0]}}), "would put"),
    "a huge view": (inserted("view.default", {"self": X_IN, "size": {"as_ints": [2, HUGE]}}), "mixes the samples"),
    "a huge repeat": (inserted("repeat.default", {"self": X_IN, "repeats": {"as_ints": [1, HUGE, 1, 1]}}), "parts"),
    "a huge constant": (
        inserted("full.default", {"size": {"as_ints": [HUGE]}, "fill_value": {"as_float": 1.0}}), "computes constants of"),
    "a huge range": (inserted("arange.default", {"end": {"as_int": HUGE}}), "computes constants of"),
    "a constant that is repeated": (
        inserted("repeat.default", {"self": {"as_tensor": {"name": "p_fc_weight"}}, "repeats": {"as_ints": [HUGE, 1]}}),
        "computes constants of"),
    "a constant that is expanded": (
        inserted("add.Tensor", {"self": X_IN, "other": {"as_tensor": {"name": "b_norm_running_mean"}}}, reading="none"),
        "cannot|gives|broadcast"),
    "many parts": (inserted("adaptive_avg_pool2d.default", {"self": X_IN, "output_size": {"as_ints": [777, 3]}}), "windows"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_refused_at_once_and_in_one_line(tmp_path, name):
    (member, change), match = HOSTILE[name]
    path = changed(tmp_path / "a.pt2", member, change)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(ModelFileError, match=match) as refused:
        load_network(path)
    seconds, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(refused.value) and str(refused.value).startswith(str(path))
    assert seconds < 3 and peak < 100 << 20


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: OLD, "it keeps all tensors in a pickle, which can run code .* PyTorch 2.9 or later: torch.export.save"),
        (lambda c: c | {"data/weights/model.pt": b"x"}, "it keeps its weights in a pickle"),
        (lambda c: c | {"byteorder": b"big"}, "another byte order"),
        (lambda c: c | {"models/other.json": b"{}"}, "holds 2 programs"),
        (lambda c: c | {MODEL: b"[" * 200_000}, "nested deeper than 100"),
        (lambda c: c | {MODEL: b"\xff"}, "no UTF-8 text"),
        (lambda c: c | {MODEL: b'{"a": 1, "a": 2}'}, "names the same setting twice"),
        (lambda c: c | {MODEL: b"{" + b" " * (5 << 20) + b"}"}, "bytes, more than the"),
        (lambda c: {name: data for name, data in c.items() if "/constants/" not in name}, "has no values of 'scale'"),
        (lambda c: {name: data for name, data in c.items() if name != "data/weights/weight_0"}, "has no values of"),
    ],
)  # fmt: skip
def test_archives_that_are_not_what_they_should_be_are_refused(tmp_path, change, match):
    with pytest.raises(ModelFileError, match=match):
        load_network(written(tmp_path / "a.pt2", change(members())))


def test_what_is_cut_off_is_refused(tmp_path):
    content = SMALL.read_bytes()
    for n in (10, 1000, len(content) // 2, len(content) - 5):
        (tmp_path / "a.pt2").write_bytes(content[:n])
        with pytest.raises(ModelFileError):
            load_network(tmp_path / "a.pt2")


def places(described, path=()):
    """Yield the paths of all numbers, texts and flags."""
    children = described.items() if isinstance(described, dict) else enumerate(described)
    for key, value in children:
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


NASTY = [
    None,
    True,
    -1,
    0,
    1,
    3,
    2**31,
    2**63,
    1e308,
    "",
    "relu",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    {"as_int": 2},
    "torch.ops.aten.view",
]


@pytest.mark.parametrize("member", [MODEL, WEIGHTS])
def test_mutants_are_read_or_refused_and_nothing_else(tmp_path, member):
    rng = np.random.default_rng(0)
    content = members()
    described = json.loads(content[member])
    if member == MODEL:
        module = described["graph_module"]
        described = {"graph_module": {"graph": module["graph"], "signature": module["signature"]}}
    all_places = list(places(described))
    outcomes = {"read": 0, "refused": 0}
    for _ in range(150):
        mutant = json.loads(json.dumps(described))
        for _ in range(int(rng.integers(1, 3))):
            *path, last = all_places[int(rng.integers(len(all_places)))]
            at = mutant
            try:
                for key in path:
                    at = at[key]
                at[last] = NASTY[int(rng.integers(len(NASTY)))]
            except (KeyError, IndexError, TypeError):
                continue
        path = written(tmp_path / "a.pt2", content | {member: json.dumps(mutant)})
        try:
            load_network(path)
            outcomes["read"] += 1
        except ModelFileError as error:
            assert "cannot be read (" not in str(error), str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


def exported(tmp_path, function, dtype="float32"):
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def forward(self, x):
            return function(torch, x)

    x = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    x = x if dtype == "float32" else (100 * x.abs()).to(getattr(torch, dtype))
    program = torch.export.export(Module(), (x,), strict=False)
    torch.export.save(program, tmp_path / "one.pt2")
    return np.moveaxis(x.numpy(), 1, -1), Module()(x).numpy()


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "bool"])
def test_what_becomes_integers_is_refused(tmp_path, kind):
    exported(tmp_path, lambda torch, x: x * (3 * x).to(getattr(torch, kind)))
    with pytest.raises(ModelFileError, match=r"aten.to.dtype .*makes integers or truth values"):
        load_network(tmp_path / "one.pt2")


@pytest.mark.parametrize(
    "function",
    [
        lambda torch, x: x.float() / 255,
        lambda torch, x: x / 255,
        lambda torch, x: 0.5 * x.permute(0, 1, 3, 2)[:, 1:].flatten(1),
        lambda torch, x: x.clamp(10, 90).amax(1).double(),
    ],
)
@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_integer_images_are_read_where_nothing_computes_in_integers(tmp_path, function, kind):
    x, expected = exported(tmp_path, function, kind)
    found = load_network(tmp_path / "one.pt2").outputs(x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [lambda torch, x: (x - 128).float(), lambda torch, x: (x * 2).float(), lambda torch, x: -x / 2],
)
def test_what_computes_in_integers_is_refused(tmp_path, function):
    exported(tmp_path, function, "uint8")
    with pytest.raises(
        ModelFileError, match=r"line \d+ .*, computes in uint8, .*; convert the input first, as in x.fl"
    ):
        load_network(tmp_path / "one.pt2")


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_in_between_is_refused(tmp_path, kind):
    exported(tmp_path, lambda torch, x: x.to(getattr(torch, kind)).float() * 3)
    with pytest.raises(
        ModelFileError, match=f"aten.to.dtype .*rounds values that depend on the input to {kind}; keep"
    ):
        load_network(tmp_path / "one.pt2")


def test_modules_in_half_precision_are_read(tmp_path):
    x, expected = exported(tmp_path, lambda torch, x: x * 3, "float16")
    network = load_network(tmp_path / "one.pt2")
    np.testing.assert_allclose(network.outputs(x.astype(np.float32)), expected, rtol=2e-3)


def over_places(torch, x):
    of = torch.nn.functional
    return x / of.avg_pool2d(of.pad(x * x, (1, 1, 1, 1)), 3, 1).mul(0.5).add(1.0).pow(0.75)


def over_other_channels(torch, x):
    of = torch.nn.functional
    mean = of.avg_pool3d(of.pad((x * x).unsqueeze(1), (0, 0, 0, 0, 0, 1)), (2, 1, 1), 1).squeeze(1)
    return x / mean.mul(0.5).add(1.0).pow(0.75)


@pytest.mark.parametrize(
    ("function", "is_one_layer"),
    [
        (lambda torch, x: torch.nn.functional.local_response_norm(x, 2, 0.5, 0.7, 2.0), True),
        (lambda torch, x: torch.nn.functional.local_response_norm(x, 3, 0.5, 0.7, 2.0), True),
        (over_places, False),
        (over_other_channels, False),
    ],
)
def test_only_pytorchs_own_local_response_norm_is_one_layer(tmp_path, function, is_one_layer):
    x, expected = exported(tmp_path, function)
    network = load_network(tmp_path / "one.pt2")
    np.testing.assert_allclose(network.outputs(x), expected, rtol=1e-5, atol=1e-5)
    assert (len(network.layers) == 2) == is_one_layer


@pytest.mark.parametrize("second", [{"as_sym_int": {"as_name": "s{}"}}, {"as_string": "a"}])
def test_numbers_stay_those_of_sizes(tmp_path, second):
    def change(model):
        first, made = {"as_int": 10**9}, []
        for k in range(40):
            other = json.loads(json.dumps(second).replace("{}", str(k - 1))) if k else {"as_int": 10**9}
            arguments = [{"name": name, "arg": arg} for name, arg in (("a", first), ("b", other))]
            made.append(
                {
                    "target": "_operator.mul",
                    "inputs": arguments,
                    "outputs": [{"as_sym_int": {"as_name": f"s{k}"}}],
                }
            )
            first = {"as_sym_int": {"as_name": f"s{k}"}}
        model["graph_module"]["graph"]["nodes"] = made + nodes(model)

    with pytest.raises(
        ModelFileError, match=r"operator.mul cannot be computed: (the result has|it takes numbers)"
    ):
        load_network(changed(tmp_path / "a.pt2", MODEL, change))
