import json
import os
import re
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from probe._checks import DataFileError, ModelFileError
from probe.kerasfile import read_provenance
from probe.safeh5 import RefusedError, open_file, printable
from probe.storage import load_network, save_network


@pytest.fixture
def model(tmp_path, small_network):
    return save_network(small_network, tmp_path / "model.h5")


def refused(path, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        load_network(path)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and message.startswith(str(path))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("crash_hang_global_heap", "attribute 'model_config' of / .* strings at .* broken record"),
        ("crash_segv_vlen_attr", "attribute 'keras_version' of / is no text"),
        ("external_link_dataset", "layer 'd1': kernel is a link to another place or file"),
        ("external_link_group", ": /model_weights is a link to another place or file"),
        ("external_storage_relative", "layer 'd1': kernel keeps its data in another file"),
        ("virtual_other_file", "layer 'd1': kernel is put together from other data sets"),
        ("plugin_filter", r"layer 'd1': kernel uses the HDF5 filters \[32015\]"),
        ("weight_name_absolute", "layer 'd1': kernel has the path '/model_weights"),
        ("datatype_for_dataset", "layer 'd1': kernel is a datatype, expected a dataset"),
        ("bitflip_1", "damaged"),
        ("bitflip_2", "damaged"),
    ],
)
def test_hostile_files_are_refused(hostile, monkeypatch, name, match):
    # The relative targets of links and of external storage exist in this folder.
    monkeypatch.chdir(hostile)
    refused(hostile / f"{name}.h5", match)


def test_a_user_block_in_front_of_the_file_is_legal(hostile):
    assert load_network(hostile / "ok_userblock.h5").layer_names == ("d1", "d2")


def test_a_file_of_keras_has_no_provenance_and_numbers_for_class_names(hostile):
    assert read_provenance(hostile / "ok_userblock.h5") == {}
    assert load_network(hostile / "ok_userblock.h5").class_names == ("0", "1", "2")


def test_missing_folder_empty_foreign_and_truncated_files_each_have_their_sentence(tmp_path, model):
    refused(tmp_path / "no.h5", "does not exist")
    refused(tmp_path, "is a folder")
    refused("/dev/zero", "is not a regular file")
    (tmp_path / "empty.h5").touch()
    refused(tmp_path / "empty.h5", r"is empty \(0 bytes\)")
    (tmp_path / "text.h5").write_text("no model")
    refused(tmp_path / "text.h5", "is not an HDF5 file: it starts with b'no model'")
    (tmp_path / "zip.h5").write_bytes(b"PK\x03\x04rest")
    refused(tmp_path / "zip.h5", "zip.h5 is a damaged zip archive")
    for length in (9, 100, 2000, model.stat().st_size - 1):
        (tmp_path / "cut.h5").write_bytes(model.read_bytes()[:length])
        refused(tmp_path / "cut.h5", "is a damaged HDF5 file")


def replace_kernel(model, make):
    with h5py.File(model, "r+") as file:
        group = file["model_weights/hidden/hidden"]
        kernel = group["kernel"][()]
        del group["kernel"]
        make(group, kernel)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda g, k: None, "kernel is missing: /model_weights/hidden/hidden has 'bias'"),
        (lambda g, k: g.create_group("kernel"), "kernel is a group, expected a dataset"),
        (
            lambda g, k: g.create_dataset("kernel", data=k[:2]),
            r"kernel has shape \(2, 5\), expected \(4, 5\)",
        ),
        (lambda g, k: g.create_dataset("kernel", data=k.astype(int)), "kernel holds int64, expected float"),
        (lambda g, k: g.create_dataset("kernel", data=k.astype("c8")), "kernel holds compound values"),
        (lambda g, k: g.create_dataset("kernel", data=k.astype("S8")), "kernel holds strings"),
        (
            lambda g, k: g.create_dataset("kernel", data=k.astype("g")),
            "kernel holds floats of an unusual format",
        ),
        (lambda g, k: g.create_dataset("kernel", data=k.astype("V3")), "kernel holds opaque values"),
        (lambda g, k: g.create_dataset("kernel", data=h5py.Empty("f4")), "kernel is empty"),
        (lambda g, k: g.create_dataset("kernel", (4, 5), "f4"), "kernel of shape .* was never written"),
        (lambda g, k: g.create_dataset("kernel", data=k[:0]), r"kernel has shape \(0, 5\)"),
        (lambda g, k: g.create_dataset("kernel", (2**31, 2**31, 2**31), "f4", chunks=(1, 1, 1)), "has shape"),
        (lambda g, k: g.create_dataset("kernel", data=k, chunks=(4, 5), scaleoffset=2), "HDF5 filters"),
        (
            lambda g, k: g.__setitem__("kernel", h5py.SoftLink("/model_weights/output/output/kernel")),
            "a link",
        ),
        (lambda g, k: g.__setitem__("kernel", h5py.ExternalLink("x.h5", "/kernel")), "kernel is a link"),
        (
            lambda g, k: g.create_dataset("kernel", data=np.where(k > k.min(), k, np.nan)),
            "kernel has 1 of 20 va",
        ),
    ],
)
def test_a_kernel_that_is_no_plain_array_is_refused(model, make, match):
    replace_kernel(model, make)
    refused(model, "layer 'hidden': .*" + match)


@pytest.mark.parametrize("options", [{"compression": "gzip", "shuffle": True, "fletcher32": True}, {}])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_compressed_and_big_endian_kernels_are_read(model, small_network, options, dtype):
    replace_kernel(model, lambda g, k: g.create_dataset("kernel", data=k.astype(dtype), **options))
    kernel = load_network(model).dense_layers[0].kernel
    np.testing.assert_array_equal(kernel, small_network.dense_layers[0].kernel)
    assert kernel.dtype == np.dtype(dtype[1:])


def test_arrays_that_take_too_much_memory_are_refused_before_they_are_read(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("huge", (2**20, 2**20), "f4", chunks=(1, 1))
        file.create_dataset("zeros", data=np.zeros((1 << 22,), "f4"), compression="gzip")
        file.create_dataset("chunk", (4,), "f4", maxshape=(None,), chunks=(1 << 25,))[:] = 1
    with open_file(tmp_path / "bomb.h5", DataFileError) as file:
        for name, match in (
            ("huge", "more than is read"),
            ("zeros", "but is stored in"),
            ("chunk", "too large"),
        ):
            with pytest.raises(DataFileError, match=match):
                file.array(file.root, name)


def test_many_strings_that_point_at_one_big_string_are_refused(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        dtype = h5py.string_dtype()
        file.attrs.create("big", "x" * (2 << 20), dtype=dtype)
        file.attrs.create("names", np.array(["a"] * 1000, dtype=object), dtype=dtype)
    with open_file(path) as file:
        assert file.strings(file.root, "names", at_most=2000) == ("a",) * 1000
    data = path.read_bytes()
    reference = re.search(rb"\0\0\x20\0.{6}\0\0\x01\0\0\0", data, re.DOTALL)[0]
    names = re.search(rb"(\x01\0\0\0.{6}\0\0.\0\0\0|\x01\0\0\0.{6}\0\0..\0\0){1000}", data, re.DOTALL)
    path.write_bytes(data[: names.start()] + reference * 1000 + data[names.end() :])
    with open_file(path) as file, pytest.raises(RefusedError, match="is longer than 16777216 bytes"):
        file.strings(file.root, "names", at_most=2000)


def test_chunked_lists_are_put_together(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["names0"], file.attrs["names1"] = np.array([b"a", b"bc"]), np.array([b"d"])
        file.attrs["none"] = np.array([])
    with open_file(tmp_path / "a.h5") as file:
        assert file.strings(file.root, "names", at_most=3) == ("a", "bc", "d")
        assert file.strings(file.root, "none", at_most=3) == ()
        with pytest.raises(RefusedError, match="expected a list of at most"):
            file.strings(file.root, "names", at_most=2)
        with pytest.raises(RefusedError, match="no attribute 'other'"):
            file.strings(file.root, "other", at_most=2)


def test_the_environment_is_as_before(model, monkeypatch):
    load_network(model)
    assert "HDF5_PLUGIN_PRELOAD" not in os.environ
    monkeypatch.setenv("HDF5_PLUGIN_PRELOAD", "mine")
    load_network(model)
    assert os.environ["HDF5_PLUGIN_PRELOAD"] == "mine"


def test_messages_hold_no_control_characters():
    assert printable("a\nb\x1b[0m\u202e") == "a?b?[0m?" and len(printable("x" * 999)) == 80


FUZZ = """
import json, sys
from pathlib import Path
import numpy as np
from probe import ModelFileError
from probe.network import Network
from probe.storage import load_network

outcomes = {"read": 0, "refused": 0}
mutant = Path(sys.argv[1])
for path in sys.argv[2:]:
    original = Path(path).read_bytes()
    for seed in range(80):
        rng = np.random.default_rng(seed)
        data = bytearray(original)
        for place in rng.integers(len(data), size=rng.integers(1, 9)):
            data[place] = rng.integers(256)
        mutant.write_bytes(data if seed % 4 else data[: rng.integers(len(data))])
        try:
            assert isinstance(load_network(mutant), Network)
            outcomes["read"] += 1
        except ModelFileError as error:
            assert "\\n" not in str(error), error
            outcomes["refused"] += 1
print(json.dumps(outcomes))
"""


def test_flipped_bytes_and_cut_files_end_in_a_network_or_a_refusal(tmp_path, model, hostile):
    # In a process of its own: a crash of libhdf5 would take the whole test run with it.
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            FUZZ,
            str(tmp_path / "mutant.h5"),
            str(model),
            str(hostile / "ok_userblock.h5"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, (signal.Signals(-run.returncode) if run.returncode < 0 else "", run.stderr)
    outcomes = json.loads(run.stdout)
    assert sum(outcomes.values()) == 160 and min(outcomes.values()) > 20
