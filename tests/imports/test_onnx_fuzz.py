"""Mutated ONNX files end in a network or a ModelFileError: 780 of them, in a process of their own.

A longer run by hand: `python tests/imports/onnx_mutants.py 1000 2000 tests/imports/fixtures/onnx/*.onnx` takes about
5 ms a mutant. The last line on standard error names the file and the seed under way.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
EACH = 60


def test_mutants_end_in_a_network_or_a_refusal():
    files = sorted(map(str, (HERE / "fixtures" / "onnx").glob("*.onnx")))
    # A crash would take the whole test run with it.
    run = subprocess.run(
        [sys.executable, str(HERE / "onnx_mutants.py"), "0", str(EACH), *files],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    counts = json.loads(run.stdout)
    total = EACH * len(files)
    assert sum(counts.values()) == total
    # Mutations that break everything, or nothing, would test nothing.
    assert counts["refused"] > 0.2 * total and counts["read"] > 0.1 * total, counts
