"""The files of the page's script as one, and what it reads as JSON."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from nodes import NODE, PAGE, needs_node

import probe
from probe.datasets import Dataset
from probe.layers import Dense
from probe.network import Network
from probe.pages.page import encoded, encoded_images, module, script, styles, why_not_alive

TESTS = Path(__file__).parent


@needs_node
def test_the_script_s_own_tests_pass():
    command = [NODE, "--test", *map(str, sorted(TESTS.glob("*.test.mjs")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"^# pass [1-9]\d+$", done.stdout, re.MULTILINE)


@needs_node
def test_the_files_are_one_script_in_which_no_name_occurs_twice(tmp_path):
    for name, text in (("script.mjs", script()), ("module.mjs", module())):
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [NODE, "--check", str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_script_imports_and_exports_nothing():
    assert not re.search(r"^\s*(import|export)\b", script(), re.MULTILINE)
    assert not re.search(r"^\s*/?\*", script(), re.MULTILINE)
    exported = re.search(r"export \{ (.*) \};\n$", module()).group(1).split(", ")
    assert {"Network", "Trainer", "Ascent", "Random", "edited", "prepared", "decodePayload"} <= set(exported)
    assert len(set(exported)) == len(exported)
    sources = "".join(path.read_text("utf-8") for path in PAGE.glob("*.js"))
    assert len(exported) == len(re.findall(r"^export ", sources, re.MULTILINE))


def test_a_file_comes_after_those_that_it_needs_when_it_is_loaded():
    assert (
        script().index("const layerKinds") < script().index("class Network") < script().index("class Trainer")
    )


def test_the_script_is_small():
    # Of about 60 KB asked for; see the guide of the page for what is in it.
    assert len(script().encode()) < 115_000


def test_the_style_sheet_is_what_there_is():
    there = [PAGE / name for name in ("page.css", "live.css") if (PAGE / name).exists()]
    assert styles() == "\n".join(path.read_text("utf-8") for path in there)


def test_models_know_nothing_of_the_page():
    for path in PAGE.glob("model*.js"):
        assert not re.search(
            r"\b(document|window\.|querySelector|fetch|localStorage|XMLHttpRequest|eval\()",
            path.read_text("utf-8"),
        )


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_arrays_that_the_script_does_not_know_are_refused(dtype):
    with pytest.raises(probe.InputError, match=r"array must be bool, an integer of up to 32 bits or a float"):
        encoded(np.zeros(3, dtype))


def test_what_is_encoded_is_json():
    found = json.loads(json.dumps(encoded(np.arange(6, dtype=np.float16).reshape(2, 3), scale=0.5)))
    assert (found["dtype"], found["shape"], found["scale"]) == ("float16", [2, 3], 0.5)


def test_arrays_of_another_byte_order_and_layout_are_the_same():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert encoded(array) == encoded(array.astype(">f4")) == encoded(np.asfortranarray(array))


def decoded(array):
    import base64
    import zlib

    stored = np.frombuffer(zlib.decompress(base64.b64decode(array["zlib"])), array["dtype"]).reshape(
        array["shape"]
    )
    return stored * array.get("scale", 1)


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_images_are_stored_exactly(name):
    data = probe.load_dataset(name).test
    found = encoded_images(data, 200, 10**6)
    assert found["exact"]
    np.testing.assert_allclose(decoded(found["pixels"]), data.images[:200], atol=1e-7)
    np.testing.assert_array_equal(decoded(found["labels"]), data.labels[:200])


def test_pixels_between_the_steps_are_rounded_and_said_to_be():
    images = np.random.default_rng(0).random((30, 5, 4, 3)).astype(np.float32)
    found = encoded_images(Dataset(images, np.arange(30) % 3, ("a", "b", "c")), 100, 10**6)
    assert not found["exact"]
    assert found["pixels"]["shape"] == [30, 5, 4, 3]
    np.testing.assert_allclose(decoded(found["pixels"]), images, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("budget", [1, 5_000, 50_000, 200_000])
def test_as_many_images_as_fit(budget):
    data = probe.load_dataset("mnist").test
    found = encoded_images(data, 500, budget)
    n = found["pixels"]["shape"][0]
    assert len(found["pixels"]["zlib"]) <= budget or n == 1
    assert found["labels"]["shape"] == [n]
    assert n == 500 or n == 1 or len(encoded_images(data, int(1.2 * n) + 2, 10**7)["pixels"]["zlib"]) > budget


def test_labels_of_many_classes():
    names = tuple(f"class {k}" for k in range(300))
    images = np.zeros((300, 2, 2), np.float32)
    found = encoded_images(Dataset(images, np.arange(300), names), 300, 10**6)
    np.testing.assert_array_equal(decoded(found["labels"]), np.arange(300))
    assert found["frame"] == {}


def test_where_ink_lies():
    frames = {
        name: encoded_images(probe.load_dataset(name).test, 1000, 10**7)["frame"]
        for name in ("mnist", "digits")
    }
    assert frames["mnist"]["box"] == 20
    np.testing.assert_allclose(frames["mnist"]["center"], 14.5, atol=0.1)
    assert frames["digits"]["box"] == 8
    np.testing.assert_allclose(frames["digits"]["center"], 4, atol=0.1)
    image = np.zeros((1, 9, 7, 3), np.float32)
    image[0, 2:5, 1:6, 1] = 0.5
    found = encoded_images(Dataset(image, np.zeros(1, int), ("a",)), 1, 10**6)["frame"]
    assert found == {"box": 5.0, "center": [3.5, 3.5]}


def test_bad_arguments_of_images_are_refused():
    data = probe.load_dataset("digits").test
    with pytest.raises(probe.InputError, match="n must be an integer of at least 1, got 0"):
        encoded_images(data, 0, 100)
    with pytest.raises(probe.InputError, match="budget must be an integer of at least 1, got 0"):
        encoded_images(data, 10, 0)


def test_networks_without_classes_or_with_several_outputs_are_not_alive():
    layers = Dense("one", np.eye(2, dtype=np.float32)), Dense("two", np.eye(2, dtype=np.float32))
    several = Network(layers, (2,), wiring=((0,), ("one",)), output_names=("one", "two"))
    assert why_not_alive(several).startswith("It takes several inputs or has several outputs")
    assert why_not_alive(Network(layers, (2,)).for_regression()) == "Its outputs stand for no classes."


def test_names_from_files_are_kept_as_they_are():
    hostile = "</script><b>\u2028"
    network = Network((Dense(hostile, np.eye(2, dtype=np.float32)),), (2,), ("a" * 40, "b"))
    found = json.loads(json.dumps(probe.pages.page.encoded_network(network)))
    assert found["layers"][0]["name"] == found["head"] == hostile
    assert found["class_names"] == ["a" * 40, "b"]
