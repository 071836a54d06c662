"""Files of every kind: what they are is told by their content, and what to do in one line; models in archives are read."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from keras_writing import dense, entry, functional, legacy_file, new_node, old_input, old_node, sequential

import probe
from probe._errors import ModelFileError, ModelFileWarning
from probe.cli import run
from probe.kerasfile import OpenShapeError, diagnose, foreign_file
from probe.storage import load_network
from probe.workflow import Reading

RNG = np.random.default_rng(6)
K, B = RNG.normal(size=(4, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
WEIGHTS = {"d": [("d/kernel:0", K), ("d/bias:0", B)]}
X = RNG.normal(size=(5, 4)).astype("f4")

TORCH = 'torch.export.save(program, "model.pt2")'


class Trap:
    def __reduce__(self):
        return open, ("pwned", "w")


def zipped(**members):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return memory.getvalue()


def npz():
    memory = io.BytesIO()
    np.savez(memory, a=np.zeros(3))
    return memory.getvalue()


def npy():
    memory = io.BytesIO()
    np.save(memory, np.zeros(3))
    return memory.getvalue()


FILES = {
    "torch zip": (
        zipped(archive__data_dot_pkl=pickle.dumps(Trap()), archive__version="3"),
        "a pickle of PyTorch",
        TORCH,
    ),
    "torch legacy": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a pickle of PyTorch", TORCH),
    "torchscript": (
        zipped(m__constants_dot_pkl="", m__code____torch___dot_py="", m__data_dot_pkl=""),
        "TorchScript",
        TORCH,
    ),
    "exported": (zipped(archive_format="pt2"), r"a PyTorch program \(.pt2\)", "probe convert"),
    "tflite": (
        b"\x1c\0\0\0TFL3" + bytes(64),
        "a TensorFlow Lite model",
        "pass the Keras model that it was made of",
    ),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.0.0", "an ONNX model", "probe convert"),
    "saved model": (b"\x08\x01\x12\x05", "the saved_model.pb", "Pass the folder"),
    "frozen graph": (
        b"\n\x1c\n\x05input\x12\x0bPlaceholder",
        "a frozen graph of TensorFlow",
        "tf2onnx.convert --graphdef",
    ),
    "safetensors": (b"\x10\0\0\0\0\0\0\0" + b'{"a":{}}        ', "weights of safetensors", "--architecture"),
    "sklearn": (pickle.dumps(Trap()) + b"sklearn", "a pickle of scikit-learn", "probe.from_sklearn"),
    "pickle": (pickle.dumps(Trap()), "a pickle of Python", "never unpickled"),
    "npz": (npz(), r"an archive of NumPy arrays \(.npz\)", "--data"),
    "npy": (npy(), r"a NumPy array \(.npy\)", "--data"),
    "matlab": (b"MATLAB 5.0 MAT-file, Platform: x", "a MAT file", "exportONNXNetwork"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "a pointer of Git LFS",
        "git lfs pull",
    ),
    "page": (b"<!DOCTYPE html><html>", "a web page", "Download the file itself"),
    "json": (
        b'{"class_name": "Sequential", "config": {}}',
        "the architecture of a Keras model",
        "--architecture",
    ),
    "tfjs": (b'{"modelTopology": {}}', "the model.json of a TensorFlow.js model", "tensorflowjs_converter"),
    "yaml": (b"backend: tensorflow\nclass_name: Sequential\n", "a Keras model in YAML", "model.save"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture", "Pass the model"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ending", ["h5", "bin"])
def test_a_file_of_another_kind_is_named_with_what_to_do(tmp_path, monkeypatch, name, ending):
    monkeypatch.chdir(tmp_path)
    content, what, remedy = FILES[name]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"a\.{ending} is .*{what}") as caught, probe.open_model(path):
        pass
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_three_lines_export_a_module_of_pytorch(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(FILES["torch zip"][0])
    assert foreign_file(path).lines == (
        "import torch",
        "program = torch.export.export(module.eval(), (torch.zeros(1, 3, 224, 224),))",
        TORCH,
    )


@pytest.mark.parametrize(
    ("names", "what", "remedy"),
    [
        (["saved_model.pb", "keras_metadata.pb"], "a SavedModel folder that Keras 2 wrote", "tf_keras.models.load_model"),
        (["saved_model.pb"], "a SavedModel folder of TensorFlow", "python -m tf2onnx.convert --saved-model"),
        (["config.json", "metadata.json", "model.weights.h5"], "an unpacked .keras archive", "zip -0"),
        (["model.json", "group1-shard1of1.bin"], "a folder of a TensorFlow.js model", "tensorflowjs_converter"),
        (["checkpoint", "ckpt-1.index"], "a folder of checkpoints", "model.load_weights"),
        (["a.h5", "b.keras", "notes.txt"], "a folder", "Pass one of the models in it: 'a.h5', 'b.keras'"),
        (["b.txt", "a.csv"], "a folder of 'a.csv', 'b.txt', without a model", "Pass a model: a file that ends in .h5, "),
        ([], "an empty folder", "Pass a model: a file that ends in .h5, .keras"),
    ],
)  # fmt: skip
def test_a_folder_is_named_with_what_to_do(tmp_path, names, what, remedy):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelFileError, match=f"is {what}") as caught:
        load_network(tmp_path)
    assert remedy in str(caught.value)


def teachable(tmp_path, labels, *, names=("keras_model.h5", "labels.txt"), more=()):
    layers = sequential(old_input("in", 4), dense("d", 3, activation="softmax"))
    model = legacy_file(tmp_path / "m.h5", layers, WEIGHTS).read_bytes()
    with zipfile.ZipFile(tmp_path / "converted_keras.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in zip(names, (model, labels), strict=True):
            archive.writestr(name, content)
        for name in more:
            archive.writestr(name, model)
    return tmp_path / "converted_keras.zip"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("0 cat\n1 big dog\n2 none\n", ("cat", "big dog", "none")),
        ("cat\r\ndog\r\nnone", ("cat", "dog", "none")),
        ("1 cat\n2 dog\n3 none", ("1 cat", "2 dog", "3 none")),
    ],
)
@pytest.mark.parametrize("folder", ["", "converted/"])
def test_exports_of_teachable_machine_have_their_classes(tmp_path, labels, expected, folder):
    names = (f"{folder}keras_model.h5", f"{folder}labels.txt")
    network = load_network(teachable(tmp_path, labels, names=names, more=["__MACOSX/._keras_model.h5"]))
    assert network.class_names == expected
    np.testing.assert_array_equal(network.outputs(X), load_network(tmp_path / "m.h5").outputs(X))


def test_an_unpacked_export_has_its_classes(tmp_path):
    teachable(tmp_path, "")
    (tmp_path / "m.h5").rename(tmp_path / "keras_model.h5")
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n2 none\n")
    assert load_network(tmp_path / "keras_model.h5").class_names == ("cat", "dog", "none")


@pytest.mark.parametrize("labels", ["0 cat\n1 dog", "cat\ncat\ndog", "a\tb\nc\nd"])
def test_labels_that_do_not_fit_are_left_out_with_a_warning(tmp_path, labels):
    with pytest.warns(ModelFileWarning, match="which are no names of 3 classes"):
        assert load_network(teachable(tmp_path, labels)).class_names == ("0", "1", "2")


def test_an_archive_of_several_models_is_not_guessed_at(tmp_path):
    with pytest.raises(
        ModelFileError, match=r"is a zip archive of 2 models. Unpack it, and pass one of them: 'keras"
    ):
        load_network(teachable(tmp_path, "", more=["other.h5"]))


@pytest.mark.parametrize(
    ("members", "what", "remedy"),
    [
        ({"a.txt": "", "b/c.png": ""}, "a zip archive of 'a.txt', 'b/c.png', without a model", "Pass a model: a file"),
        ({}, "a zip archive of nothing, without a model", "Pass a model: a file"),
        ({"m/a.onnx": "", "__MACOSX/m/._a.onnx": ""}, "a zip archive of a model", "Unpack it, and pass 'm/a.onnx'"),
        ({"a.onnx": "", "b.pt2": ""}, "a zip archive of 2 models", "pass one of them: 'a.onnx', 'b.pt2'"),
    ],
)  # fmt: skip
def test_an_archive_without_a_model_that_is_read_says_what_it_has(tmp_path, capsys, members, what, remedy):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(**members))
    assert foreign_file(path).what == what
    assert run(["inspect", str(path)]) == 2
    assert remedy in capsys.readouterr().err
    assert run(["inspect", str(path), "--why"]) == 0
    shown = capsys.readouterr().out
    assert f"a.zip is {what}\nit does not open:\n" in shown and remedy in shown


def test_a_keras_archive_in_an_archive_is_read(tmp_path, fixtures):
    inner = fixtures / "keras3" / "mlp.keras"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(inner, "model/mlp.keras")
    network = load_network(tmp_path / "a.zip")
    assert network.layer_names == load_network(inner).layer_names
    assert diagnose(tmp_path / "a.zip").what == "a zip archive with a Keras model in it, model/mlp.keras"


def opened(tmp_path, *shape):
    layers = [
        old_input("in", *shape),
        entry(
            "GlobalAveragePooling2D",
            "mean",
            data_format="channels_first" if shape[0] == 3 else "channels_last",
        ),
        dense("d", 2),
    ]
    weights = [("d/kernel:0", np.ones((3, 2), "f4")), ("d/bias:0", np.zeros(2, "f4"))]
    return legacy_file(tmp_path / "a.h5", sequential(*layers), {"mean": [], "d": weights})


@pytest.mark.parametrize("shape", [(None, None, 3), (3, None, None), (None, 6, 3)])
def test_open_axes_are_fixed_by_the_user_or_the_data(tmp_path, shape, capsys):
    path = opened(tmp_path, *shape)
    with pytest.raises(
        OpenShapeError, match=r"with open axes; say their sizes, such as --input-shape (224|3)"
    ):
        load_network(path)
    network = load_network(path, input_shape=(8, 6, 3))
    assert network.input_shape == ((3, 8, 6) if shape[0] == 3 else (8, 6, 3))
    with pytest.raises(ModelFileError, match="which an input shape of 8,6,1 does not fit"):
        load_network(path, input_shape=(8, 6, 1))
    assert run(["inspect", str(path), "--input-shape", "8,6,3"]) == 0
    assert ("3 x 8 x 6" if shape[0] == 3 else "8 x 6 x 3") in capsys.readouterr().out
    images = RNG.random((24, 8, 6, 3)).astype("f4")
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(24) % 2)
    fitted = Reading().for_data(path, probe.load_dataset(tmp_path / "data.npz"))
    assert fitted.outputs(images).shape == (24, 2)


def test_a_shape_that_is_not_open_is_not_changed(tmp_path):
    path = legacy_file(tmp_path / "a.h5", sequential(old_input("in", 4), dense("d", 3)), WEIGHTS)
    assert load_network(path, input_shape=(4,)).input_shape == (4,)
    with pytest.raises(ModelFileError, match="which an input shape of 5 does not fit"):
        load_network(path, input_shape=(5,))


def troubled(tmp_path):
    layers = [
        old_input("in", 4, inbound=[]),
        entry("Lambda", "scale", [old_node(("in", 0, 0))], function=["4wE=", None, None]),
        entry("LSTM", "memory", [old_node(("scale", 0, 0))], units=3),
        entry("Einsum", "sum", [new_node(("memory", 0, 0))]) | {"module": "keras.src.ops.numpy"},
        dense("d", 3, [old_node(("sum", 0, 0))], activation="my_own"),
    ]
    model = functional(layers, [["in", 0, 0]], [["d", 0, 0]])
    return legacy_file(tmp_path / "a.h5", model, {"in": []} | WEIGHTS)


def test_all_that_is_in_the_way_is_listed(tmp_path, capsys):
    path = troubled(tmp_path)
    found = diagnose(path)
    assert found.what == "a Keras model (HDF5), written by Keras 2"
    assert [problem.split("'")[1] for problem in found.problems] == ["scale", "sum", "memory", "d"]
    assert "is a layer for text and other sequences, and not of image classifiers" in found.problems[2]
    assert run(["inspect", str(path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "'scale' (Lambda) holds program code" in line
    assert "(3 more in the way: layer 'sum' (Einsum)" in line
    assert "--why lists each" in line
    assert run(["inspect", str(path), "--why"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  layer '{name}'" in shown for name in ("scale", "sum", "memory", "d"))
    assert "is a Keras model (HDF5), written by Keras 2" in shown


def test_why_says_what_another_file_is(tmp_path, capsys):
    path = tmp_path / "model.pth"
    path.write_bytes(FILES["torch zip"][0])
    assert run(["inspect", str(path)]) == 2
    assert TORCH in capsys.readouterr().err
    assert run(["inspect", str(path), "--why"]) == 0
    assert f"\n  {TORCH}\n" in capsys.readouterr().out


def test_a_file_that_is_no_model_is_not_called_one(tmp_path):
    text = tmp_path / "program.py"
    text.write_text("import torch")
    found = diagnose(text)
    assert found.what == "no file that is known"
    assert "is not an HDF5 file: it starts with b'import t'" in found.problems[0]


def test_a_file_that_is_not_there_is_named_before_its_architecture(tmp_path):
    (tmp_path / "model.pt2").write_bytes(FILES["exported"][0])
    with pytest.raises(ModelFileError, match=r"absent\.safetensors"):
        load_network(tmp_path / "absent.safetensors", architecture=tmp_path / "model.pt2")
