"""What commands keep: found again and equal to the bit, bounded, and never in the way of a result."""

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import probe
from probe import _cache
from probe._cache import Kept, cache_folder, caching, digest, kept, kept_files
from probe.analyses.concepts.loops import LoopSample, kept_powers
from probe.analyses.concepts.within import Sample
from probe.analyses.drawing import analysis, drawing
from probe.analyses.paths import expanded_weights
from probe.analyses.structure import weight_structure
from probe.cli import run
from probe.recipes import RECIPES
from probe.workflow import cache

sys.path.append(str(Path(__file__).parent / "layers"))
from every_layer import EVERYTHING


@dataclass(frozen=True)
class Thing:
    values: np.ndarray
    name: str = ""


@pytest.fixture
def folder(tmp_path):
    with caching(tmp_path / "cache"):
        yield tmp_path / "cache"


def thing(n=3.0):
    return Thing(np.array([1.0, n]), "thing")


def fail():
    raise AssertionError("it was kept")


def only(folder) -> Path:
    ((path, _),) = kept_files(folder)
    return path


def test_a_value_is_made_once_and_then_read_equal_to_the_bit(folder):
    made = kept(Thing, "thing", thing, 1, "a")
    found = kept(Thing, "thing", fail, 1, "a")
    assert found.values.tobytes() == made.values.tobytes() and found.name == "thing"
    with pytest.raises(AssertionError, match="it was kept"):
        kept(Thing, "thing", fail, 2, "a")
    with pytest.raises(AssertionError, match="it was kept"):
        kept(Thing, "other", fail, 1, "a")


def test_nothing_is_kept_where_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path))
    assert kept(Thing, "thing", thing, object()).name == "thing"
    assert not list(tmp_path.iterdir())


def test_a_value_of_other_code_or_libraries_is_made_anew(folder, monkeypatch):
    kept(Thing, "thing", thing, 1)
    monkeypatch.setattr(_cache, "_surroundings", lambda: "other")
    assert kept(Thing, "thing", lambda: thing(4.0), 1).values[1] == 4.0


def test_the_code_that_counts_is_every_module(tmp_path, monkeypatch):
    package = tmp_path / "probe"
    (package / "inside").mkdir(parents=True)
    (package / "_cache.py").write_text("")
    (package / "inside" / "module.py").write_text("x = 1")
    monkeypatch.setattr(_cache, "__file__", str(package / "_cache.py"))
    before = _cache._surroundings.__wrapped__()
    assert _cache._surroundings.__wrapped__() == before
    (package / "inside" / "module.py").write_text("x = 2")
    assert _cache._surroundings.__wrapped__() != before


def damaged(content, other):
    return {
        "cut off": content[:-1],
        "empty": b"",
        "a bit": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        "no such file": b"x" * 500,
        "of another key": other,
        "a result": content[content.index(b"\x89HDF") :],
    }


@pytest.mark.parametrize("how", damaged(b"....\x89HDF.....", b""))
def test_a_damaged_or_foreign_file_is_replaced(folder, how):
    kept(Thing, "thing", thing, 1)
    path = only(folder)
    content = path.read_bytes()
    kept(Thing, "thing", lambda: thing(9.0), 2)
    (other,) = {file for file, _ in kept_files(folder)} - {path}
    path.write_bytes(damaged(content, other.read_bytes())[how])
    assert kept(Thing, "thing", thing, 1).values[1] == 3.0
    assert path.read_bytes() == content


def test_a_whole_file_of_another_class_is_replaced(folder):
    place = Kept(Thing, "thing", 1)
    Kept(probe.MLP, "thing", 1).save(probe.MLP())
    assert place.load() is None
    assert kept(Thing, "thing", thing, 1).name == "thing"


@pytest.mark.parametrize("how", ["link", "folder", "pipe"])
def test_what_is_no_regular_file_is_not_opened(folder, tmp_path, how):
    kept(Thing, "thing", thing, 1)
    path = only(folder)
    content = path.read_bytes()
    path.unlink()
    if how == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif how == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert kept(Thing, "thing", lambda: thing(5.0), 1).values[1] == 5.0
    if how == "link":
        assert not path.is_symlink() and (tmp_path / "elsewhere").read_bytes() == content


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with caching(place):
            assert kept(Thing, "thing", thing, 1).name == "thing"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with caching(tmp_path / "full"):
        assert kept(Thing, "thing", thing, 1).name == "thing"
        assert kept_files(tmp_path / "full") == [] and list((tmp_path / "full").iterdir()) == []


def test_the_files_used_longest_ago_go_first_and_others_stay(folder, monkeypatch):
    for k in range(4):
        kept(Thing, "thing", thing, k)
    paths = [folder / Kept(Thing, "thing", k)._name for k in range(4)]
    for k, path in enumerate(paths):
        os.utime(path, (1000 + k, 1000 + k))
    (folder / "mine.txt").write_text("x" * 100_000)
    kept(Thing, "thing", fail, 0)  # it is used now
    size = paths[0].stat().st_size
    monkeypatch.setattr(_cache, "MOST_BYTES", 3 * size + 10)
    kept(Thing, "thing", thing, 4)
    left = {path for path, _ in kept_files(folder)}
    assert left == {paths[0], paths[3], folder / Kept(Thing, "thing", 4)._name}
    assert (folder / "mine.txt").exists()


def test_a_value_that_is_too_large_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(_cache, "_LARGEST", 100)
    kept(Thing, "thing", thing, 1)
    assert kept_files(folder) == []


def test_what_killed_writers_left_goes_after_an_hour(folder):
    kept(Thing, "thing", thing, 1)
    old, new = (folder / f".{only(folder).name}.{k:08x}.part" for k in range(2))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    kept(Thing, "thing", thing, 2)
    assert not old.exists() and new.exists()


WRITER = """
import sys, numpy as np
from pathlib import Path
from probe._cache import caching, kept
from probe.objectives import Objective, unit
with caching(Path(sys.argv[1])):
    for k in range(40):
        assert kept(Objective, "objective", lambda: unit("hidden_1", k), k % 7).index in range(k + 1)
"""


def test_processes_that_write_at_once_leave_whole_files(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "c")]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(kept_files(tmp_path / "c")) == len(list((tmp_path / "c").iterdir())) == 7


def test_a_digest_tells_apart_what_differs(digits):
    data, rng = digits.train, np.random.default_rng(1)
    values = [
        1, 1.0, True, "1", None, (), (1,), ((1,), 2), (1, (2,)), np.zeros(2), np.zeros(2, np.float32), np.zeros((1, 2)),
        data, data.take([0, 1]), replace(data, class_names=tuple("abcdefghij")), probe.MLP(), probe.MLP((8,)),
        rng, np.random.default_rng(2), {"a": 1}, digits,
    ]  # fmt: skip
    found = [digest(value) for value in values]
    rng.random()
    found.append(digest(rng))
    rng.spawn(1)
    found.append(digest(rng))
    assert len(set(found)) == len(found)
    assert digest("ab", "c") != digest("a", "bc")
    with pytest.raises(TypeError, match="depends on a function"):
        digest(fail)


def test_data_in_a_file_are_others_than_in_memory_for_they_are_shuffled_otherwise(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["images"] = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8)
        file["labels"] = np.arange(60) % 3
    memory = probe.load_dataset(tmp_path / "own.h5")
    stored = probe.load_dataset(tmp_path / "own.h5", images_in="file")
    assert memory.fingerprint == stored.fingerprint
    assert digest(memory) != digest(stored)


def test_the_folder_is_named_by_the_system_or_by_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("PROBE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "probe"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for system, place in (("linux", ".cache/probe"), ("darwin", "Library/Caches/probe")):
        monkeypatch.setattr(sys, "platform", system)
        assert cache_folder() == tmp_path / place
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("PROBE_CACHE", "OFF")
    assert cache_folder() is None


def summed(controls):
    arrays = [
        array
        for group in (controls.untrained, controls.trained, controls.few_labels, controls.random_label)
        for array in (*group.weights, *group.biases)
    ]
    arrays += [controls.summary.test_accuracy, controls.summary.train_accuracy, controls.summary.memorized]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_controls_are_the_same_with_and_without_and_larger_groups_train_the_rest(
    trained, digits, folder, monkeypatch
):
    recipe = replace(RECIPES["modern"], config=probe.TrainingConfig(epochs=2), adapts=False)
    shards = []
    train_shards = probe.controls.training.train_shards

    def counted(which, *arguments, **more):
        shards.append([len(shard.start) for shard in which])
        return train_shards(which, *arguments, **more)

    monkeypatch.setattr(probe.controls.training, "train_shards", counted)

    def controls(n, **more):
        return probe.control_networks(trained, digits, n_networks=n, recipe=recipe, **more)

    with caching(None):
        cold = {n: summed(controls(n)) for n in (6, 14)}
    shards.clear()
    assert summed(controls(6)) == cold[6] and shards == [[6], [12]]
    assert summed(controls(14)) == cold[14] and shards[2:] == [[6, 2], [12, 4]]
    assert summed(controls(14)) == cold[14] and summed(controls(6)) == cold[6] and len(shards) == 4
    controls(6, seed=1)
    assert len(shards) == 6


def drawn(network, split, controls):
    found = drawing(network, split, controls=controls, restarts=2, steps=10)
    return found.to_dict(), found.artists, found.nearest


def structured(network, split, controls):
    return weight_structure(network, split, controls=controls, n_null=19).to_dict()


def expanded(network, split, controls):
    return expanded_weights(network, split.test.images, controls=controls, n_images=50).to_dict()


def loops(network, split, controls):
    test = split.test
    sample = Sample(test.images, test.labels % 2, (test.images.mean(axis=(1, 2)) > 0.3)[None])
    images = LoopSample(sample, sample.told(sample.scores(sample.pixels)))
    return kept_powers(images, 8, seed=0)


@pytest.mark.parametrize("find", [drawn, structured, expanded, loops])
def test_analyses_find_the_same_with_and_without(trained, digits, folder, find):
    recipe = replace(RECIPES["modern"], config=probe.TrainingConfig(epochs=2), adapts=False)
    with caching(None):
        controls = probe.control_networks(trained, digits, n_networks=2, recipe=recipe)
        cold = digest(find(trained, digits, controls))
    assert digest(find(trained, digits, controls)) == cold
    n_files = len(kept_files(folder))
    assert n_files
    assert digest(find(trained, digits, controls)) == cold and len(kept_files(folder)) == n_files


def test_the_command_says_what_is_there_and_removes_it(folder, monkeypatch, capsys):
    monkeypatch.setenv("PROBE_CACHE", str(folder))
    assert run(["cache"]) == 0
    assert f"{folder}: 0 files, 0.0 MiB; at most 512 MiB" in capsys.readouterr().out
    kept(Thing, "thing", thing, 1)
    (folder / "mine.txt").write_text("mine")
    assert cache().summary.startswith(f"{folder}: 1 file, 0.0 MiB")
    assert run(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"{folder}: removed 1 file, 0.0 MiB\n"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    cache("clear")
    assert not folder.exists()
    monkeypatch.setenv("PROBE_CACHE", "off")
    assert "nothing is kept: the cache is off" in cache().summary
    with pytest.raises(probe.InputError, match="action must be one of show, clear; got 'empty'"):
        cache("empty")


def test_a_command_keeps_what_python_functions_do_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "cache"))
    network = tmp_path / "model.h5"
    assert run(["train", "--data", "digits", "--hidden", "6", "--epochs", "2", "--out", str(network)]) == 0
    line = ["severity", str(network), "--data", "digits", "--networks", "2", "--images", "50", "--out"]
    results = []
    for k, folder in enumerate(("cache", "cache", "off")):
        monkeypatch.setenv("PROBE_CACHE", str(tmp_path / folder) if folder != "off" else folder)
        assert run([*line, str(tmp_path / str(k))]) == 0
        results.append((tmp_path / str(k) / "results.h5").read_bytes())
    assert results[0] == results[1] == results[2]
    assert kept_files(tmp_path / "cache")


@pytest.mark.parametrize("name", EVERYTHING)
def test_networks_of_any_layers_can_be_named(name):
    layer, _ = EVERYTHING[name]
    assert digest(layer) == digest(replace(layer)) != digest(replace(layer, name="other"))


def test_a_training_that_was_interrupted_is_not_kept(folder, digits, monkeypatch):
    train = analysis.train

    def interrupted(*arguments, **options):
        return replace(train(*arguments, **options), interrupted=True)

    monkeypatch.setattr(analysis, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        analysis._linear_softmax(digits)
    assert kept_files(folder) == []
    monkeypatch.setattr(analysis, "train", train)
    network = analysis._linear_softmax(digits)
    np.testing.assert_array_equal(
        network.layers[-1].kernel, analysis._linear_softmax(digits).layers[-1].kernel
    )
    assert len(kept_files(folder)) == 1


def test_what_depends_on_something_without_a_name_is_made_each_time(folder):
    for n in (3.0, 4.0):
        assert kept(Thing, "thing", lambda: thing(n), fail).values[1] == n  # noqa: B023
    assert kept_files(folder) == []
