"""Two hundred command lines that make no sense: each gets one line and status 2, and writes nothing."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import probe
from probe.cli import run

LINES = r"""
''
NUL
ESCAPE
report ''
report FOLDER
report LONG
report MODEL --data digits --out ''
report MODEL --data digits --out LONG
report MODEL --data digits --out aNULb
report MODEL --data digits --out FILE
report MODEL --data digits --out x.h5
report MODEL --data ''
report MODEL --data aNULb
report MODEL --data LONG
report MODEL --data openml:
report MODEL --data digits --range nan 1
report MODEL --data digits --range inf 1
report MODEL --data digits --range 1
report MODEL --data digits --output nope
report MODEL --data digits --output ''
report --seed -1
train --data digits --out FILE
train --data digits --out x.json
train --data digits --out /dev/null/x.h5
train --data digits --hidden -1
train --data digits --hidden ,,
train --data digits --hidden 1e3
train --data digits --hidden 99999999999999999999999
train --data digits --epochs 99999999999999999999999999999 --epochs x
train --data digits --learning-rate 1e400
train --data digits --weight-decay nan
train --data digits --batch-size 0
train --data digits --schedule ''
train --data digits --initialization bad
train --data digits --output ''
train --data digits --seed 1.5
train --data digits --activation ''
train --data digits --hidden MANY
train --data digits --classes ''
train --data digits --classes a,b
train --data digits --classes a,a,b,c,d,e,f,g,h,i
train --data digits --classes 0,1,2,3,4,5,6,7,8,x
train --data digits --classes LONG
train --data digits --image-size ''
train --data digits --image-size 5
train --data digits --image-size 0,4
train --data digits --image-size 4,4,4
train --data digits --image-size x,y
train --data digits --image-size 99999,99999
train --data digits --image-size 99999999999999999999,1
train --data FOLDER
train --data TABLE
maximize MODEL --classes a,b
maximize MODEL --image-size 4,4
lesson --data digits --classes a
memorize --data digits --classes a
inspect ''
inspect .
inspect /dev/null
inspect /dev/zero
inspect MODEL --out i.txt
inspect MODEL --out MODEL
inspect MODEL --architecture ''
inspect MODEL extra
inspect NUL
inspect /proc/self/mem
weights MODEL --units 0:99999999999999999999 --layer hidden_1
unit MODEL --data digits
unit MODEL '' --data digits
unit MODEL : --data digits
unit MODEL hidden_1 --data digits
unit MODEL hidden_1: --data digits
unit MODEL hidden_9:4 --data digits
unit MODEL hidden_1:400 --data digits
unit MODEL hidden_1:-1 --data digits
unit MODEL hidden_1:1.5 --data digits
unit MODEL hidden_1:99999999999999999999999 --data digits
unit MODEL class:x --data digits
unit MODEL LONG --data digits
unit MODEL hidden_1:0 --data digits --networks 1
unit MODEL hidden_1:0 --data digits --networks -3
unit MODEL hidden_1:0 --data digits --out x.h5
weights MODEL --units -1:3
weights MODEL --layer ''
weights MODEL --image-shape 99999999999,99999999999
weights MODEL --image-shape ''
weights MODEL --out /proc/x
weights MODEL --units '²:³' --layer hidden_1
weights MODEL --units 0:1 --layer nope
cache ''
cache empty
cache clear all
cache LONG
cache NUL
cache --out x
convert MODEL out.keras.json
convert MODEL ''
convert MODEL out
convert MODEL FOLDER
convert MODEL aNUL.h5
convert MODEL LONG.h5
convert MODEL MODEL
convert MODEL FILE
convert MODEL /dev/null
convert MODEL
convert MODEL /proc/x.h5
convert nope.h5 o.h5
features MODEL --data digits --networks 0
features MODEL --data digits --networks 99999999999999999999
features MODEL --data digits --out f.json
maximize MODEL --objective ''
maximize MODEL --objective class:99
maximize MODEL --objective class:-1
maximize MODEL --objective '((('
maximize MODEL --objective hidden_1:4@1,1
maximize MODEL --objective DASHES
maximize MODEL --objective class:NINES
maximize MODEL --position 1,1
maximize MODEL --layer hidden_1 --position x
maximize MODEL --ball -1
maximize MODEL --ball nan
maximize MODEL --shift -1
maximize MODEL --shift 100
maximize MODEL --l2 nan
maximize MODEL --total-variation inf
maximize MODEL --diversity -1
maximize MODEL --parameterization x
maximize MODEL --animation mp4
maximize MODEL --restarts 99999999999999999999999
maximize MODEL --restarts 9999999999
maximize MODEL --seed -3
evaluate
evaluate MODEL --data digits --images 0
evaluate MODEL --data digits --images 356
evaluate MODEL --data mnist
evaluate FILE --data digits
evaluate MODEL --data digits --out x.html
train --like MODEL --hidden 16,16 --data digits
drawing MODEL --data digits --restarts 0
drawing MODEL --data digits --steps x
drawing MODEL --data digits --networks 1
noise MODEL --data digits --images -1
noise MODEL --data digits --networks 3
severity MODEL --data digits --images 1
noise MODEL --data FILE
noise MODEL --data EMPTY
noise MODEL --data FOLDER
noise MODEL --data /dev/null
noise MODEL --data MODEL
noise MODEL --data digits --out n.html
noise MODEL --data digits --seed -1
noise MODEL --data digits --range 1e308 -1e308
noise MODEL --data digits --range -1e308 1e308
compare MODEL --data digits
compare MODEL nope.h5 --data digits
compare MODEL FILE --data digits
compare MODEL FOLDER --data digits
compare MODEL '' --data digits
compare MODEL MODEL MODEL --data digits
compare MODEL MODEL --data digits --images 5
compare MODEL MODEL --data digits --images 99999999999999
compare MODEL MODEL --data digits --networks 3
compare MODEL MODEL --data digits --out c.html
compare MODEL MODEL --data digits --seed -1
compare MODEL OTHER --data digits
gallery
gallery ''
gallery nowhere
gallery FILE
gallery aNULb
gallery /dev/null
memorize --data digits --samples ''
memorize --data digits --samples 999999999999999999999
memorize --data digits --corruption ''
memorize --data digits --corruption nan
memorize --data digits --workers -1
scores --data digits --networks 0
scores --data digits --networks -1
scores --data digits --networks 99999999999999999999
scores --data digits --hidden 4 --hidden 5
memorize --data digits --replicates 999999999999999999999999
memorize --data digits --backend dask --scheduler ''
memorize --data digits --backend dask --scheduler NUL
memorize --data digits --out m.h5
memorize --data digits --hidden x
memorize --data digits --input-corruption ''
memorize --data digits --label-corruption ''
memorize --data digits --weight-decay x
memorize --data digits --seed -1
capacity --data digits --replicates 0
capacity --data digits --largest 1
memorize --data digits --epochs 0
memorize --data digits --batch-size -1
landscape MODEL --data digits --resolution 2
landscape MODEL --data digits --resolution 0
landscape MODEL --data digits --directions 0
landscape MODEL --data digits --updates -1
landscape MODEL --data digits --networks 1
landscape MODEL --data digits --workers 0
landscape MODEL --data digits --cost x
landscape MODEL --data digits --seed -1
landscape MODEL --data digits --resolution 1000000001
landscape MODEL --data digits --directions 9999999999999
minima --data digits --networks 0
minima --data digits --samples 0
minima --data digits --hidden 0
minima --data digits --margin nan
minima --data digits --polish x
minima --data digits --connected 9999
minima --data digits --workers 0
minima --data digits --seed -1
minima --data digits --networks 99999999999999
minima --data digits --learning-rate -1
minima --data digits --out /dev/null
search --data digits --widths ''
search --data digits --widths 0
search --data digits --depths -1
search --data digits --depths 99999999
search --data digits --networks 1
search --data digits --samples 0
search --data digits --epochs 0
search --data digits --first-epochs 0
search --data digits --batch-size 0
lesson --students 0
lesson --students 41
lesson --students 2.5
lesson --seed -1
lesson --data no-such.npz
lesson --data FILE
lesson --out FILE
edit MODEL
edit MODEL FILE
edit MODEL EMPTY
edit MODEL FOLDER --out x.h5
edit MODEL no-such.json --out x.h5
edit FILE FILE --out x.h5
edit MODEL FILE --out x.npz
edit MODEL FILE --out MODEL
search --data digits --rates nan
search --data digits --seed -1
search --data digits --activations ''
search --data digits --out /dev/null/x
search --data digits --networks 999999999999999
verify --data digits --rows newton
verify --data digits --rows ''
verify --data digits --rows nielsen-darkness
verify --data digits --size tiny
verify --data digits --networks 2
verify --data digits --networks 99999999999999
verify --data digits --workers 0
verify --data digits --seed -1
verify --data no-such.npz
verify --data digits --out /dev/null/x
"""
"""Words in capitals stand for what `words` says."""


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A model, a folder, a file of text and an empty file."""
    folder = tmp_path_factory.mktemp("there")
    split = probe.load_dataset("digits")
    network = probe.train(probe.MLP((6,)), split, probe.TrainingConfig(epochs=30)).network
    probe.save_network(network, folder / "model.h5")
    few = probe.Split(
        *(data.take(np.flatnonzero(data.labels < 3)) for data in (split.train, split.test)), "few"
    )
    few = probe.Split(*(replace(data, class_names=("0", "1", "2")) for data in (few.train, few.test)), "few")
    other = probe.train(probe.MLP((4,)), few, probe.TrainingConfig(epochs=3)).network
    probe.save_network(other, folder / "other.h5")
    (folder / "folder").mkdir()
    (folder / "text").write_text("mine")
    (folder / "empty").touch()
    (folder / "table.csv").write_text("label,pixel0\n1,2\n")
    return folder


def words(line: str, there: Path) -> list[str]:
    stands_for = {
        "MODEL": str(there / "model.h5"),
        "OTHER": str(there / "other.h5"),
        "FOLDER": str(there / "folder"),
        "FILE": str(there / "text"),
        "EMPTY": str(there / "empty"),
        "TABLE": str(there / "table.csv"),
        "LONG": "x" * 5000,
        "MANY": "1," * 3000,
        "DASHES": "-" * 3000,
        "NINES": "9" * 5000,
        "NUL": "\0",
        "ESCAPE": "\x1b[31m",
    }
    found = shlex.split(line)
    for short, long in stands_for.items():
        found = [word.replace(short, long) for word in found]
    return found


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_a_line_without_sense_gets_one_line_and_writes_nothing(line, there, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat() for path in there.rglob("*")}
    status = run(words(line, there))
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("probe: ") and err.endswith("\n") and err[:-1].isprintable()
    assert 15 < len(err) < 700
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*")} == {
        path: status.st_mtime_ns for path, status in before.items()
    }
