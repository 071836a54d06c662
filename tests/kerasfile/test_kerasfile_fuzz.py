"""Mutated model files end in a network or a ModelFileError: 7,400 of them, in processes of their own.

A longer run by hand: `python tests/kerasfile/mutants.py 1000 2000 tests/kerasfile/fixtures/*/*.h5` takes about
20 ms a mutant. The last line on standard error names the file and the seed under way.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = {
    "legacy": [
        "keras3/mlp.h5",
        "keras3/functional_residual.h5",
        "keras3/nested_sequential.h5",
        "keras3/cnn_bn.h5",
    ],
    "archives": ["keras3/mlp.keras", "keras3/functional_residual.keras", "keras3/activation_layers.keras"],
    "older": ["keras305/reshape_norm.keras", "keras305/deferred.h5", "keras2_tf212/mlp.keras"],
    "plain": ["keras3/padding_bank.h5", "keras3/digits_cnn.h5", "keras3/mlp_bfloat16.h5"],
}
PER_GROUP = 600
SCRIPT = HERE.parents[1] / "scripts" / "fuzz.py"


@pytest.mark.parametrize("group", FILES)
def test_mutants_end_in_a_network_or_a_refusal(group):
    files = [str(HERE / "fixtures" / name) for name in FILES[group]]
    each = PER_GROUP // len(files)
    # A crash would take the whole test run with it.
    run = subprocess.run(
        [sys.executable, str(HERE / "mutants.py"), "0", str(each), *files],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    died = signal.Signals(-run.returncode).name if run.returncode < 0 else ""
    assert run.returncode == 0, (died, run.stderr[-3000:])
    counts = json.loads(run.stdout)
    assert sum(counts.values()) == each * len(files)
    # Mutations that break everything, or nothing, would test nothing.
    assert counts["refused"] > 0.2 * PER_GROUP and counts["read"] > 0.03 * PER_GROUP, counts


@pytest.mark.parametrize("seed", [1, 2])
def test_changed_structures_end_in_a_network_or_a_refusal_in_little_time_and_memory(seed):
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--mutants", "2500", "--seed", str(seed)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, (run.stdout, run.stderr[-3000:])
    found = json.loads(run.stdout)
    assert found["mutants"] == 2500
    assert min(found["counts"].values()) > 500 and found["files"] > 50, found
