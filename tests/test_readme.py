"""The README is true: it is short, its links lead somewhere, its commands parse, its program runs."""

import re
import shutil

import pytest
from documents import ROOT, check_command, command_lines, links, programs

README = ROOT / "README.md"


def test_it_has_at_most_10_kilobytes():
    assert README.stat().st_size <= 10_000


def test_every_picture_and_file_that_it_links_exists():
    linked = links(README)
    assert len(linked) >= 5
    assert len([link for link in linked if link.endswith(".png")]) == 3
    for link in linked:
        assert (README.parent / link).is_file(), link


@pytest.mark.parametrize("line", command_lines(README))
def test_every_command_in_it_is_one_that_exists(line):
    check_command(line)


def test_the_two_commands_of_the_start_are_there():
    text = README.read_text(encoding="utf-8")
    assert "    python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/probe report\n" in text
    assert "    python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n" in text


def test_no_placeholder_is_left():
    assert not re.findall(r"@[A-Z_]+@", README.read_text(encoding="utf-8"))


def test_its_program_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (tmp_path / "reports" / "mnist").mkdir(parents=True)
    shutil.copy(ROOT / "reports" / "samples" / "mnist" / "model.h5", tmp_path / "reports" / "mnist")
    monkeypatch.chdir(tmp_path)
    (program,) = programs(README)
    names = {}
    exec(program, names)
    assert names["noise"].accuracy > 0.9
    assert "NoiseConfidence" in capsys.readouterr().out
    assert (tmp_path / "noise.png").read_bytes().startswith(b"\x89PNG")
