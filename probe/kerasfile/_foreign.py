"""What a file is that holds no model of Keras: told by its first bytes and the names in it, never opened further.

Nothing is unpickled, run or imported; at most `START` bytes and the names in a zip archive or a folder are looked at.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from probe._signatures import checked
from probe.safeh5 import DamagedError, listed, open_regular, open_zip, printable

__all__ = ["Foreign", "foreign_file", "foreign_members"]

START = 64 << 10
"""First bytes of a file that are looked at."""

MOST_NAMES = 2000
"""Most names of a folder or an archive that are looked at."""

_TORCH_EXPORT = (
    "program = torch.export.export(module.eval(), (torch.zeros(1, 3, 224, 224),))",
    'torch.export.save(program, "model.pt2")',
)

_READ = "Pass it to probe.load_network, or convert it first: probe convert"

_PASS = "Pass a model: a file that ends in .h5, .keras, .onnx, .pt2 or .safetensors"

_MODEL = re.compile(r"\.(h5|hdf5|keras|pt2|onnx|safetensors)$", re.IGNORECASE)

_PICKLE = "which can run any code when it is opened and is never unpickled here"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A kind of file.

    Attributes
    ----------
    what : str
        What it is, behind "is".
    remedy : str
        What to do, a sentence without its full stop.
    lines : tuple of str
        Lines of Python or of a shell that do it; () if the remedy says all.
    is_model : bool
        Whether it is a model that probe reads, if not by `probe.kerasfile`.
    """

    what: str
    remedy: str
    lines: tuple[str, ...] = ()
    is_model: bool = False

    @property
    def text(self) -> str:
        """All of it in one line."""
        lines = f": {'; '.join(self.lines)}" if self.lines else ""
        return f"is {self.what}. {self.remedy}{lines}"


def _torch(what: str) -> Foreign:
    return Foreign(
        f"{what}, {_PICKLE}",
        "Load the module in Python, where its class is, run these lines with the size of your images, and pass model.pt2",
        ("import torch", *_TORCH_EXPORT),
    )


@checked
def foreign_file(path: str | os.PathLike[str]) -> Foreign | None:
    """Return which other kind of file or folder this is; None if that is not known, or it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.tflite"
    >>> _ = path.write_bytes(bytes([28, 0, 0, 0]) + b"TFL3" + bytes(64))
    >>> foreign_file(path).what
    'a TensorFlow Lite model'
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _folder(path)
        with open_regular(path) as file:
            start = file.read(START)
        if start.startswith(b"PK"):
            with open_zip(path, most_members=MOST_NAMES) as archive:
                return foreign_members(archive.members)
        return _by_start(path, start)
    except (DamagedError, OSError, ValueError):
        return None


def foreign_members(members: Collection[str]) -> Foreign | None:
    """Return which kind of zip archive has these members; None if it is none that is known."""
    names = {name.rsplit("/", 1)[-1] for name in members}
    folders = {part for name in members for part in name.split("/")[:-1]}
    if "archive_format" in names or {"serialized_exported_program.json", "version"} <= names:
        return Foreign("a PyTorch program (.pt2)", _READ, is_model=True)
    if "constants.pkl" in names or "code" in folders:
        return _torch("a TorchScript archive")
    if "data.pkl" in names:
        return _torch("a pickle of PyTorch (.pt, .pth)")
    if any(name.endswith(".npy") for name in names) and all(
        name.endswith(".npy") or "/" in name for name in members
    ):
        return _ARRAYS
    if "saved_model.pb" in names:
        return Foreign(
            "a zip archive of a TensorFlow SavedModel",
            "Unpack it, and pass the folder to see how it is converted",
        )
    if "model.json" in names and any(name.endswith(".bin") for name in names):
        return Foreign("a zip archive of a TensorFlow.js model", *_TFJS)
    if any(name.endswith(".tflite") for name in names):
        return Foreign(f"a zip archive of a {_TFLITE.what.removeprefix('a ')}", _TFLITE.remedy)
    if "schema.json" in names and any(name.endswith(".npy") for name in names):
        return Foreign("an archive of skops", _SKLEARN)
    if names & {"config.json", "metadata.json", "model.weights.h5"}:
        return None
    models = [name for name in members if _is_model(name)]
    if not models:
        return Foreign(f"a zip archive of {listed(members, none='nothing')}, without a model", _PASS)
    if len(models) > 1:
        remedy = f"Unpack it, and pass one of them: {listed(models)}"
        return Foreign(f"a zip archive of {len(models)} models", remedy)
    if models[0].lower().endswith((".h5", ".hdf5", ".keras")):
        # It is read where it lies.
        return None
    return Foreign("a zip archive of a model", f"Unpack it, and pass {listed(models)}")


def _is_model(name: str) -> bool:
    """Return whether a name in an archive or a folder is that of a model, and not what macOS puts beside it."""
    own = name.rsplit("/", 1)[-1]
    return _MODEL.search(own) is not None and not own.startswith("._") and not name.startswith("__MACOSX/")


_TFJS = (
    "Convert it, and pass model.h5",
    ("tensorflowjs_converter --input_format tfjs_layers_model --output_format keras model.json model.h5",),
)

_TFLITE = Foreign(
    "a TensorFlow Lite model",
    "Its layers are merged and often quantized, and nothing converts it back: pass the Keras model that it was made of "
    "(for Teachable Machine: export Tensorflow, Keras)",
)

_SKLEARN = (
    "Where you trust it, load it in Python, make a network of it by probe.from_sklearn(model, input_shape=...), and write "
    "that by probe.save_network(network, 'model.h5')"
)

_ARRAYS = Foreign(
    "an archive of NumPy arrays (.npz), which says no layers",
    "It may be data: pass it to --data; a model needs its layers",
)


def _folder(path: Path) -> Foreign:
    names = set(islice((entry.name for entry in os.scandir(path)), MOST_NAMES))
    shown = printable(path, 200)
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        if "keras_metadata.pb" in names:
            return Foreign(
                "a SavedModel folder that Keras 2 wrote",
                "Convert it where TensorFlow is (pip install tensorflow tf_keras), and pass model.h5",
                ("import tf_keras", f"tf_keras.models.load_model({shown!r}).save('model.h5')"),
            )
        return Foreign(
            "a SavedModel folder of TensorFlow, whose layers are no more than a graph",
            "Convert it where TensorFlow is (pip install tensorflow tf2onnx), and pass model.onnx",
            (f"python -m tf2onnx.convert --saved-model {shown} --output model.onnx",),
        )
    if {"config.json", "model.weights.h5"} <= names:
        return Foreign(
            "an unpacked .keras archive",
            "Pack it again, and pass model.keras",
            (f"cd {shown}", "zip -0 ../model.keras config.json metadata.json model.weights.h5"),
        )
    if "model.json" in names and any(name.endswith(".bin") for name in names):
        return Foreign("a folder of a TensorFlow.js model", *_TFJS)
    if "checkpoint" in names or any(name.endswith(".index") for name in names):
        return Foreign(
            "a folder of checkpoints of TensorFlow, which say no layers",
            "Load them into the model that wrote them, in Python, and save that",
            ("model.load_weights(...)", "model.save('model.h5')"),
        )
    models = sorted(filter(_is_model, names))
    if models:
        return Foreign("a folder", f"Pass one of the models in it: {listed(models)}")
    if not names:
        return Foreign("an empty folder", _PASS)
    return Foreign(f"a folder of {listed(sorted(names))}, without a model", _PASS)


_BY_START: tuple[tuple[str, Foreign], ...] = (
    (
        r"version https://git-lfs",
        Foreign("a pointer of Git LFS and not the file itself", "Fetch it in its repository: git lfs pull"),
    ),
    (
        r"\s*<(!DOCTYPE|html|\?xml)",
        Foreign(
            "a web page, such as a download that failed",
            "Download the file itself (on GitHub: Download raw file)",
        ),
    ),
    (r"[\s\S]{4}TFL3", _TFLITE),
    (
        r"\x93NUMPY",
        Foreign(
            "a NumPy array (.npy), which says no layers",
            "It may be data: pass an .npz with images and labels to --data",
        ),
    ),
    (
        r"MATLAB 5\.0",
        Foreign(
            "a MAT file of MATLAB",
            "Export the network there by exportONNXNetwork(net, 'model.onnx'), and pass model.onnx",
        ),
    ),
    (r"GGUF", Foreign("a language model (GGUF)", "Pass an image classifier")),
    (
        r"\x80[\x02-\x05]\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19",
        _torch("a pickle of PyTorch (.pt, .pth) in its older layout"),
    ),
    (
        r"\x08\x01\x12",
        Foreign(
            "the saved_model.pb of a TensorFlow SavedModel",
            "Pass the folder that it is in, to see how it is converted",
        ),
    ),
    (r"\x08[\x03-\x0f][\x12\x1a\x3a\x42]", Foreign("an ONNX model", _READ, is_model=True)),
    (
        r"\x0a[\s\S]{1,3}\x0a[\s\S]{1,200}(Placeholder|Const|VariableV2|NoOp)",
        Foreign(
            "a frozen graph of TensorFlow (.pb)",
            "Convert it where TensorFlow is (pip install tensorflow tf2onnx), and pass model.onnx",
            (
                "python -m tf2onnx.convert --graphdef model.pb --inputs input:0 --outputs output:0 --output model.onnx",
            ),
        ),
    ),
    (
        r"\[net\]",
        Foreign(
            "a configuration of Darknet", "Convert it with its weights to ONNX or PyTorch, and pass that"
        ),
    ),
    (
        r"\x12\x01\x00\x00\x00\x00\x00\x00",
        Foreign("a file of parameters of MXNet", "Export it to ONNX there, and pass model.onnx"),
    ),
    (
        r"\s*(name:|layer\s*\{|input:)",
        Foreign(
            "a description of a network in the text of Caffe",
            "Convert it to ONNX with its weights, and pass model.onnx",
        ),
    ),
    (
        r"(\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!)",
        Foreign("a compressed archive", "Unpack it, and pass the model in it"),
    ),
    (
        r"(\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP)",
        Foreign("a picture", "Pass the model, and pictures as --data"),
    ),
    (r"%PDF", Foreign("a PDF", "Pass a model file")),
)
"""Kinds by a pattern of their first bytes; the first that fits."""


def _by_start(path: Path, start: bytes) -> Foreign | None:
    text = start.decode("latin-1")
    if _is_safetensors(path, start):
        return Foreign(
            "weights of safetensors, which say no layers",
            "Pass it to probe.load_network with the architecture that they are for (--architecture)",
            is_model=True,
        )
    if re.match(r"\s*\{", text):
        return _json(text)
    for pattern, kind in _BY_START:
        if re.match(pattern, text):
            return kind
    if path.suffix == ".caffemodel":
        return Foreign("a network of Caffe", "Convert it to ONNX with its .prototxt, and pass model.onnx")
    is_pickle = re.match(r"\x80[\x02-\x05]|[(\]}cid](lp|dp|copy_reg|__builtin__|os\n|posix)", text)
    is_compressed = re.match(r"x[\x01\x5e\x9c\xda]", text) and path.suffix in (".pkl", ".joblib", ".z")
    if is_pickle or is_compressed:
        return _pickle(text)
    if re.search(
        r"^class_name: (Sequential|Model|Functional)|^backend: (tensorflow|theano)", text, re.MULTILINE
    ):
        return Foreign(
            "the architecture of a Keras model in YAML, without weights",
            "Load it with the Keras that wrote it, save the whole model there (model.save('model.h5')), and pass that",
        )
    return None


def _is_safetensors(path: Path, start: bytes) -> bool:
    if len(start) < 10 or start[8:9] != b"{":
        return False
    (n_header,) = struct.unpack("<Q", start[:8])
    return bool(2 <= n_header <= path.stat().st_size - 8)


def _json(text: str) -> Foreign:
    if '"modelTopology"' in text or '"weightsManifest"' in text:
        return Foreign("the model.json of a TensorFlow.js model", *_TFJS)
    if '"class_name"' in text:
        return Foreign(
            "the architecture of a Keras model (JSON), without weights",
            "Pass the file with its weights, and this one as --architecture",
        )
    return Foreign("a text in JSON", "Pass a model file")


def _pickle(text: str) -> Foreign:
    known: Iterable[tuple[str, Foreign]] = (
        ("torch", _torch("a pickle with parts of PyTorch")),
        ("sklearn", Foreign(f"a pickle of scikit-learn, {_PICKLE}", _SKLEARN)),
        (
            "keras",
            Foreign(
                f"a pickle of a Keras model, {_PICKLE}",
                "Where you trust it, load it in Python and save the model: model.save('model.h5')",
            ),
        ),
        ("joblib", Foreign(f"a pickle of joblib, {_PICKLE}", _SKLEARN)),
        ("xgboost", Foreign("a pickle of XGBoost, which is no neural network", "Pass a neural network")),
        ("lightgbm", Foreign("a pickle of LightGBM, which is no neural network", "Pass a neural network")),
        ("fastai", _torch("a pickle of fastai")),
    )
    for word, kind in known:
        if word in text:
            return kind
    return Foreign(
        f"a pickle of Python, {_PICKLE}",
        "Where you trust it, load it in Python, and save the model in it: model.save('model.h5')",
    )
