"""The public names: all there, loaded late, and the same for type checkers, whose file is generated."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import probe

STUB = Path(probe.__file__).with_suffix(".pyi")


def stub():
    """Return what `probe/__init__.pyi` should say."""
    names = defaultdict(list)
    for name, module in probe._MODULES.items():
        names[module].append(name)
    imports = [
        f"from {module} import {', '.join(f'{name} as {name}' for name in sorted(found))}"
        for module, found in sorted(names.items())
    ]
    head = (
        "# Written by `python tests/test_public_names.py`: what `probe/__init__.py` loads when it is used.\n"
    )
    lines = ["from probe._version import __version__ as __version__", *imports]
    return head + "\n".join([*lines, "", "__all__: list[str]", ""])


def test_type_checkers_see_the_same_names():
    assert STUB.read_text() == stub(), "run: python tests/test_public_names.py"


def test_every_name_is_there():
    assert all(hasattr(probe, name) for name in probe.__all__)
    assert set(probe.__all__) <= set(dir(probe))


def test_importing_it_loads_no_analysis_and_no_picture():
    code = "import sys, probe; print([m for m in ('numpy', 'scipy', 'h5py', 'matplotlib', 'sklearn') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


if __name__ == "__main__":
    STUB.write_text(stub())
