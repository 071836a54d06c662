"""What reaches the terminal: text that it can show, our own warnings only, and what would help where memory is lacking."""

import json
import os
import re
import subprocess
import sys
import warnings
from concurrent.futures.process import BrokenProcessPool
from functools import partial, wraps
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer

import probe
from probe import workflow
from probe._checks import InputError, ModelFileWarning, ProbeWarning
from probe._progress import ProgressEvent
from probe.cli import app, run
from probe.cli._screen import LESS, drawn_progress, is_lack_of_memory
from probe.workflow._contents import _brief
from probe.workflow._folder import Written

ROOT = Path(__file__).resolve().parents[2]

ODD = {
    "escape": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J",
    "surrogate": "\ud800\udfff",
    "bidi": "a\u202eb\u2066c\u200fd\u061c",
    "invisible": "a\u200bb\ufeff\u2028c\x85d",
    "markup": "[/red] [link=file:///etc]x[/link] [bold]",
    "lines": "a\r\nb\tc\vd",
    "long": "x" * 100_000,
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained_file(tmp_path_factory):
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP((6,)), split, probe.TrainingConfig(epochs=1)).network
    return probe.save_network(network, tmp_path_factory.mktemp("model") / "m.h5")


def with_text(model, **attributes):
    """Write a copy of a model file with other texts in probe's own group."""
    path = Path("odd.h5")
    path.write_bytes(model.read_bytes())
    with h5py.File(path, "r+") as file:
        for name, text in attributes.items():
            del file["probe"].attrs[name]
            file["probe"].attrs[name] = np.array(
                text.encode(errors="surrogatepass"), dtype=h5py.string_dtype()
            )
    return path


def shown(arguments, capfd):
    status = run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    for line in (out + err).splitlines():
        assert line.isprintable(), line
        assert len(line) <= 1100
    return status, out, err


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_a_file_says_of_its_origin_can_be_shown(text, trained_file, capfd):
    facts = {"command": text, text[:2000]: "key", "data": {"name": [text, {text[:500]: text}]}}
    path = with_text(trained_file, provenance=json.dumps(facts))
    status, out, _ = shown(["inspect", path], capfd)
    assert status == 0 and "written by probe:" in out
    if text == ODD["markup"]:
        assert text in out


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_names_of_classes_can_be_shown_or_are_refused(text, trained_file, capfd):
    names = [text[:300], *map(str, range(9))]
    path = with_text(trained_file, class_names=json.dumps(names))
    for arguments in (["inspect", path], ["noise", path, "--data", "digits"]):
        status, out, err = shown(arguments, capfd)
        assert status in (0, 2)
        assert (status == 2) == bool(err) and (status == 0) == bool(out)


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_names_of_layers_can_be_shown_or_are_refused(text, trained_file, capfd):
    path = Path("odd.h5")
    path.write_bytes(trained_file.read_bytes())
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        config = config if isinstance(config, str) else config.decode()
        file.attrs["model_config"] = config.replace('"hidden_1"', json.dumps(text[:1000]))
    status, _, err = shown(["inspect", path], capfd)
    assert status in (0, 2) and err.count("\n") == (status == 2)


def test_many_levels_and_entries_of_origin_are_cut(trained_file, capfd):
    nested = "1"
    for _ in range(900):
        nested = '{"a": ' + nested + "}"
    wide = {"wide": list(range(100_000)), "many": {str(k): k for k in range(50_000)}}
    for facts in (f'{{"deep": {nested}}}', json.dumps(wide)):
        status, out, err = shown(["inspect", with_text(trained_file, provenance=facts)], capfd)
        assert status in (0, 2) and "Recursion" not in err
        if status == 0:
            assert "written by probe:" in out


def test_values_of_any_depth_are_said_briefly():
    deep = []
    for _ in range(100_000):
        deep = [deep, {"a": deep}] if len(deep) < 1 else [deep]
    assert _brief(deep).endswith("...")
    assert _brief({"a": (16, 16), "b": [1.5, "x"], "c": None}) == "a 16 x 16, b 1.5 x, c None"


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.parametrize("place", ["model", "--data", "--out", "--layer", "--objective", "command"])
def test_what_is_typed_can_be_shown(text, place, trained_file, capfd):
    arguments = {
        "model": ["inspect", text],
        "--data": ["noise", trained_file, "--data", text],
        "--out": ["weights", trained_file, "--out", f"/proc/{text}"],
        "--layer": ["weights", trained_file, "--layer", text],
        "--objective": ["maximize", trained_file, "--objective", text, "--image-shape", "8,8"],
        "command": [text],
    }[place]
    status, out, err = shown(arguments, capfd)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


def test_progress_shows_markup_as_it_is(monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with drawn_progress() as progress:
        for k in range(3):
            progress(ProgressEvent("training [/red]", k, 2, "[/red] [link=x]note"))
    capfd.readouterr()


# Terminals.


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "probe", *map(str, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        # Typer takes a terminal that claims to know only ASCII for one that was set up wrongly.
        ({"PYTHONIOENCODING": "ascii"}, "größer ≥ 3 שלום".encode()),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "größer ≥ 3 שלום".encode()),
        ({"PYTHONIOENCODING": "latin-1"}, b"gr\xf6\xdfer \\u2265 3 \\u05e9"),
        ({"PYTHONIOENCODING": "cp1252"}, b"gr\xf6\xdfer \\u2265 3 \\u05e9"),
    ],
    ids=["ascii", "C", "latin-1", "cp1252"],
)
def test_a_terminal_of_any_encoding_shows_what_it_can(environment, expected, trained_file):
    facts = json.dumps({"note": "größer ≥ 3 שלום"}, ensure_ascii=False)
    done = command("inspect", with_text(trained_file, provenance=facts), **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert expected in done.stdout
    done = command("inspect", "≥.h5", **environment)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert b"does not exist" in done.stderr


def test_a_reader_that_has_enough_is_no_error(trained_file):
    line = f"{sys.executable} -m probe inspect {trained_file} | true"
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == ""


def test_an_output_that_is_full_is_one_line(trained_file):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "probe", "inspect", trained_file],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert done.returncode == 2 and done.stderr == "probe: No space left on device\n"


# Warnings.


WARNS = """
import sys, warnings, logging
from functools import wraps
import probe.workflow.models as module
from probe._errors import ModelFileWarning, ProbeWarning
from probe.__main__ import main

@wraps(module.inspect_model)
def inspect_model(*arguments, **more):
    import numpy as np
    np.log(np.zeros(2))
    warnings.warn("Glyph 12 missing from font", UserWarning)
    warnings.warn("soon gone", DeprecationWarning)
    logging.getLogger("matplotlib.font_manager").warning("findfont: Font family not found")
    for _ in range(2):
        warnings.warn("the model is odd \\x1b[31m\\n in two lines", ModelFileWarning)
    warnings.warn("accuracy is near chance", ProbeWarning)
    return module.Written((), "text")

module.inspect_model = inspect_model
sys.argv[1:] = ["inspect", "m.h5"]
main()
"""


def test_only_our_own_warnings_reach_the_screen_each_in_one_line():
    done = subprocess.run(
        [sys.executable, "-c", WARNS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    odd = "probe: warning: the model is odd ?[31m in two lines\n"
    assert done.stderr == f"{odd}{odd}probe: warning: accuracy is near chance\n"
    assert (done.returncode, done.stdout) == (0, "text\n")


WORKER = """
import sys, warnings
from multiprocessing import get_context

def warn():
    warnings.warn("theirs", RuntimeWarning)

if __name__ == "__main__":
    from probe.cli._screen import others_silenced
    with others_silenced():
        process = get_context("spawn").Process(target=warn)
        process.start()
        process.join()
    assert process.exitcode == 0 and "ignore" not in sys.warnoptions
"""


def test_processes_of_a_command_are_silent_too(here):
    Path("script.py").write_text(WORKER)
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_in_the_library_warnings_are_as_ever(monkeypatch, capfd):
    @wraps(workflow.inspect_model)
    def warned(*arguments, **more):
        warnings.warn("ours", ProbeWarning, stacklevel=2)
        warnings.warn("theirs", RuntimeWarning, stacklevel=2)
        return Written((), "text")

    monkeypatch.setattr("probe.workflow.inspect_model", warned)
    before = warnings.showwarning
    with pytest.warns(RuntimeWarning, match="theirs"):
        assert run(["inspect", "m.h5"]) == 0
    assert capfd.readouterr().err == "probe: warning: ours\n"
    assert warnings.showwarning is before
    assert issubclass(ModelFileWarning, UserWarning)


# Memory.


def options(command):
    return {option for parameter in command.params for option in parameter.opts}


def test_what_would_help_is_there_for_every_command():
    commands = typer.main.get_command(app()).commands
    assert set(LESS) == set(commands)
    for name, ways in LESS.items():
        for way in ways:
            (option,) = re.findall(r"--[a-z-]+", way)
            assert option in options(commands[name]), (name, option)


MODEL_COMMANDS = ("weights", "features", "maximize", "evaluate", "drawing", "noise", "severity", "landscape")


@pytest.mark.parametrize("name", LESS)
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**9, 10**9), np.dtype(float)),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ValueError("Maximum allowed dimension exceeded"),
    ],
    ids=["MemoryError", "NumPy", "system", "threads", "size"],
)
def test_where_memory_is_lacking_the_command_says_what_would_help(
    name, error, monkeypatch, trained_file, capfd
):
    def lacks(*arguments, **more):
        raise error

    for place in ("report", "train_model", "inspect_model", "convert_model", "edit_model", "lesson", "weights_model",
                  "maximize_model", "unit_model", "analyze", "run_study", "gallery", "cache"):  # fmt: skip
        monkeypatch.setattr(workflow, place, wraps(getattr(workflow, place))(partial(lacks)))
    two = [trained_file, trained_file]
    own = {
        "convert": [trained_file, "out.h5"],
        "edit": [trained_file, "recipe.json"],
        "compare": two,
        "unit": [trained_file, "hidden_1:0"],
        "gallery": ["."],
    }
    arguments = own.get(name, [trained_file] * (name in (*MODEL_COMMANDS, "inspect")))
    status, out, err = shown([name, *arguments], capfd)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("probe: there is not enough memory for that. What would help: ")
    for way in LESS[name]:
        assert way in err


def test_a_worker_that_was_killed_says_what_would_help(monkeypatch, capfd):
    @wraps(workflow.run_study)
    def killed(*arguments, **more):
        raise InputError("a process of this sweep died") from BrokenProcessPool("x")

    monkeypatch.setattr("probe.workflow.run_study", killed)
    assert run(["minima"]) == 2
    err = capfd.readouterr().err
    assert err == (
        "probe: a process of this sweep died. What would help: --workers 1, fewer --samples, fewer --networks or "
        "narrower layers in --hidden\n"
    )


def test_other_errors_are_no_lack_of_memory(monkeypatch):
    assert not is_lack_of_memory(ValueError("x")) and not is_lack_of_memory(
        RuntimeError("Event loop stopped")
    )
    assert is_lack_of_memory(OSError(12, os.strerror(12)))

    @wraps(workflow.inspect_model)
    def fails(*arguments, **more):
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("probe.workflow.inspect_model", fails)
    with pytest.raises(ValueError, match="a mistake of ours"):
        run(["inspect", "m.h5"])
