"""The README is true: its command reference is generated, its links lead somewhere, its commands parse."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import probe
from probe.cli import app

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- commands: [^\n]*-->\n).*?(<!-- end of commands -->)", re.DOTALL)


def commands():
    return typer.main.get_command(app).commands


def reference():
    """Return the table of commands as the README should have it."""
    lines = ["", "| command | what it does | options besides --out and --seed |", "|---|---|---|"]
    for name, command in commands().items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        shown = " ".join(f"[{p.name.upper()}]" if not p.required else p.name.upper() for p in arguments)
        options = [p.opts[0] for p in command.params if p.param_type_name == "option"]
        rest = " ".join(f"`{o}`" for o in options if o not in ("--out", "--seed"))
        about = " ".join(command.help.split())
        lines.append(f"| `probe {f'{name} {shown}'.strip()}` | {about} | {rest} |")
    return "\n".join([*lines, "", ""])


def with_reference(text):
    assert BLOCK.search(text), "README.md has lost the marks around its command reference"
    return BLOCK.sub(lambda found: found.group(1) + reference() + found.group(2), text)


def test_the_command_reference_is_the_generated_one():
    text = README.read_text(encoding="utf-8")
    assert text == with_reference(text), "run: python tests/test_readme.py"


def test_every_picture_and_file_that_it_links_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) >= 5
    for link in links:
        assert (README.parent / link).is_file(), link


@pytest.mark.parametrize(
    "line", re.findall(r"^    \.venv/bin/probe (.+)$", README.read_text("utf-8"), re.MULTILINE)
)
def test_every_command_in_it_is_one_that_exists(line):
    name, *arguments = shlex.split(line)
    command = commands()[name]
    command.make_context(name, list(arguments))


def test_the_two_commands_of_the_start_are_there():
    text = README.read_text(encoding="utf-8")
    assert "    python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/probe report\n" in text
    assert "    python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n" in text


def test_no_placeholder_is_left():
    assert not re.findall(r"@[A-Z_]+@", README.read_text(encoding="utf-8"))


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)


SMALLER = {
    "n_samples=[500, 1000]": "n_samples=[40, 60]",
    "replicates=10": "replicates=2",
    "split, corruption=0.2)": "split, corruption=0.2, n_samples=40, n_networks=20)",
    "split, n_networks=6)": "split, n_networks=2, n_directions=5, updates=8, n_planes=1, n_lines=3, n_images=30)",
    "n_networks=20, polish=300)": "n_networks=2, n_samples=60, polish=5)",
    "(8, 32), depths=(1, 2), n_networks=5)": "(4,), depths=(1,), costs=('quadratic',), n_networks=2, epochs=3)",
    '(4,), activation="relu"), split)': '(4,), activation="relu"), split, replicates=1, starts=1, updates=100, largest=40)',
}


def test_the_second_program_runs_as_it_stands_but_for_its_sizes():
    _, program, _ = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    for large, small in SMALLER.items():
        assert program.count(large) == 1, large
        program = program.replace(large, small)
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP(hidden=(8,)), split, probe.TrainingConfig(epochs=1)).network
    names = {"probe": probe, "split": split, "network": network, "x": split.test.images[:20]}
    exec(program, names)
    assert len(names["study"].cells) == 4
    assert names["study"].cells[0].test_accuracy.shape[:2] == (3, 2)
    assert names["study"].verdicts[0].decision in ("supported", "refuted", "inconclusive")
    assert names["scores"].is_corrupted.any()
    assert 0 <= names["nearby"] <= 1


def test_the_third_program_runs_as_it_stands(tmp_path, monkeypatch):
    _, _, program = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    shutil.copy(README.parent / "tests/kerasfile/fixtures/keras3/cnn.keras", tmp_path)
    split = probe.load_dataset("digits")
    wide = probe.train(probe.MLP(hidden=(80,)), split, probe.TrainingConfig(epochs=1)).network
    probe.save_network(wide, tmp_path / "big.h5")
    monkeypatch.chdir(tmp_path)
    names = {"probe": probe, "x": np.random.default_rng(0).random((3, 12, 12, 3), np.float32)}
    exec(program, names)
    assert names["kernels"].images.shape == (6, 3, 3, 3)
    assert names["channels"].best_images.shape == (6, 12, 12, 3)
    assert names["features"].shape == (3, 12, 12, 6)
    assert names["place"].values.shape == (1, 4)
