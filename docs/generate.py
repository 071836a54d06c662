"""Write the parts of the documentation that follow from the code and from results: python docs/generate.py.

A page marks such a part with `<!-- generated: NAME -->` and `<!-- end -->`. `tests/test_documentation.py` fails where
a part is not what this script writes.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

import probe
from probe.catalogue import ANALYSES
from probe.cli import app

DOCS = Path(__file__).resolve().parent
REPORTS = DOCS.parent / "reports" / "samples"
SHARED = ("--out", "--overwrite", "--open", "--seed")
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> dict[str, Any]:
    """Return the commands by name."""
    return typer.main.get_command(app()).commands


def command_table() -> str:
    """Return a table of all commands and their options."""
    rows = []
    for name, command in commands().items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        shown = " ".join(f"[{p.name.upper()}]" if not p.required else p.name.upper() for p in arguments)
        options = [p.opts[0] for p in command.params if p.param_type_name == "option"]
        rest = " ".join(f"`{option}`" for option in options if option not in SHARED)
        rows.append((f"`probe {f'{name} {shown}'.strip()}`", " ".join(command.help.split()), rest))
    return table(("command", "what it does", "options besides {}".format(", ".join(SHARED))), rows)


def analysis_table() -> str:
    """Return a table of all analyses: function, result, command."""
    runs = {entry.name: entry.command.name for entry in ANALYSES if entry.command is not None}
    for entry in ANALYSES:
        if entry.command is not None:
            runs |= dict.fromkeys(
                (name for name in entry.command.analyses if name not in runs), entry.command.name
            )
    rows = [
        (
            f"{{py:obj}}`probe.{entry.name}`",
            f"{{py:obj}}`~probe.analyses.{entry.module}.{entry.result}`",
            ", ".join(entry.needs),
            f"`probe {runs[entry.name]}`" if entry.name in runs else "",
        )
        for entry in ANALYSES
    ]
    return table(("function", "returns", "needs", "command"), rows)


def analysis_reference() -> str:
    """Return the directives that document each module of analyses: its public functions, then all else in it."""
    parts = []
    for module in dict.fromkeys(entry.module for entry in ANALYSES):
        names = public_names(f"probe.analyses.{module}")
        functions = "".join(f".. autofunction:: probe.{name}\n\n" for name in names)
        rest = f".. automodule:: probe.analyses.{module}\n   :members:\n   :exclude-members: {', '.join(names)}\n"
        parts.append(f"## {module}\n\n```{{eval-rst}}\n{functions}{rest}```\n")
    return "\n".join(["", *parts])


def public_names(package: str) -> list[str]:
    """Return the names of `probe` that are defined in `package`, in alphabetical order."""
    defined = {name: getattr(getattr(probe, name), "__module__", "") for name in probe.__all__}
    return [name for name, module in defined.items() if f"{module}.".startswith(f"{package}.")]


def verdict_table(name: str) -> str:
    """Return a table of the verdicts in the results.json of `reports/samples/<name>`."""
    seen = dict[str, tuple[str, str, str]]()
    for verdict in verdicts(json.loads((REPORTS / name / "results.json").read_text("utf-8"))):
        title = verdict.get("title", verdict.get("claim"))
        found, others = verdict["sentence"], verdict.get("agreement")
        if others:
            found += f" The same for {others['n_agree']} of {others['n']} networks trained like it."
        seen.setdefault(verdict["sentence"], (title, verdict["decision"], found))
    return table(("claim", "verdict", "found"), list(seen.values()))


def verdicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every verdict that is somewhere in plain values."""
    if isinstance(value, dict):
        if {"decision", "sentence", "null"} <= value.keys():
            yield value
        else:
            for item in value.values():
                yield from verdicts(item)
    elif isinstance(value, list):
        for item in value:
            yield from verdicts(item)


def speed_table(name: str) -> str:
    """Return the rows of `reports/samples/benchmark/<name>.json`."""
    rows = []
    for row in json.loads((REPORTS / "benchmark" / f"{name}.json").read_text("utf-8"))["rows"]:
        if row["against"] == "limit":
            against, ratio, target = "", "", f"under {amount(row['peer'], row['unit'])}"
        else:
            sign = "{:.0%}" if row["unit"] == "GFLOP/s" else "{:.2f}x"
            against = f"{row['against']} {amount(row['peer'], row['unit'])}"
            ratio, target = sign.format(row["ratio"]), sign.format(row["target"])
        reached = "yes" if row["reached"] else "**no**"
        rows.append((row["case"], amount(row["ours"], row["unit"]), against, ratio, target, reached))
    return table(("case", "probe", "against", "ratio", "target", "reached"), rows)


def command_speed_table() -> str:
    """Return the rows of `reports/samples/benchmark/commands.json`."""
    rows = []
    for row in json.loads((REPORTS / "benchmark" / "commands.json").read_text("utf-8"))["rows"]:
        stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in row["stages"].items())
        low, high = row["spread"]
        reached = "yes" if row["wall"] <= (row["limit"] or row["wall"]) else "**no**"
        rows.append(
            (
                row["name"],
                f"`{row['command']}`",
                f"{row['wall']:.1f} s ({low:.1f} to {high:.1f})",
                f"{row['cpu']:.1f} s",
                f"{row['peak'] / 1e6:.0f} MB",
                stages,
                f"{row['limit']:.0f} s" if row["limit"] else "",
                reached if row["limit"] else "",
            )
        )
    return table(
        (
            "what",
            "command",
            "time",
            "of both cores",
            "peak memory",
            "the longest stages, in s",
            "asked",
            "reached",
        ),
        rows,
    )


def amount(value: float, unit: str) -> str:
    """Return a number with its unit."""
    if unit == "GFLOP/s":
        return f"{value:.0f} GFLOP/s"
    return f"{1000 * value:.1f} ms" if value < 1 else f"{value:.2f} s"


def accuracy_table() -> str:
    """Return the accuracies of `scripts/accuracy.py`."""
    results = json.loads((REPORTS / "accuracy" / "results.json").read_text("utf-8"))
    rows = [
        (name, ", ".join(f"{value:.2%}" for value in one["test_accuracy"]), f"{one['median']:.2%}")
        for name, one in results.items()
    ]
    return table(("network", "test accuracy of three seeds", "median"), rows)


def calibration_table() -> str:
    """Return the rates of false alarms that `scripts/calibration.py` measured."""
    results = json.loads((REPORTS / "calibration" / "results.json").read_text("utf-8"))
    rows = [
        (kind, f"{one['start']:.1%}", f"{one['start and images']:.1%}")
        for kind, one in results.items()
        if isinstance(one, dict) and "start" in one
    ]
    head = (
        "weights drawn as",
        "untrained units rejected at 5%",
        "units with random combinations of images rejected at 5%",
    )
    return table(head, rows)


def coverage_table() -> str:
    """Return what `scripts/coverage.py` counted."""
    rows = json.loads((REPORTS / "coverage" / "results.json").read_text("utf-8"))["rows"]
    by_case = dict[str, list[str]]()
    for name, row in rows.items():
        case, _, n = name.rpartition(", n = ")
        by_case.setdefault(case, []).append(f"{row['covers']:.1%} / {row['decides']:.1%}")
        assert n in ("6", "10", "20", "40")
    head = ("replicates drawn from", *(f"{n} replicates" for n in (6, 10, 20, 40)))
    return table(head, [(case, *cells) for case, cells in by_case.items()])


def nielsen_table() -> str:
    """Return the accuracies of `scripts/nielsen_table.py`."""
    rows = [
        (
            f"784-{row['hidden']}-10",
            f"{row['eta']:g}",
            ", ".join(f"{max(run):.2%}" for run in row["test_accuracy"]),
            f"{row['published']:.2%}",
        )
        for row in json.loads((REPORTS / "nielsen" / "results.json").read_text("utf-8"))
    ]
    return table(("network", "eta", "best epoch of each run", "published"), rows)


def verify_table() -> str:
    """Return what the sample of `probe verify` found, row by row."""
    path = REPORTS / "verify" / "results.json"
    words = {"supported": "within", "refuted": "**outside**", "inconclusive": "undecided"}
    rows = [
        (
            row["source"],
            row["claim"],
            row["published"],
            row["ours"],
            row["tolerated"],
            words[row["decision"]] + (f": {row['remark']}" if row["remark"] else ""),
        )
        for row in json.loads(path.read_text("utf-8"))["results"]["verification"]["rows"]
    ]
    return table(("source", "what was published", "figure", "ours", "tolerance", ""), rows)


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table between empty lines."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        [
            "",
            *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines),
            "",
            "",
        ]
    )


PARTS: dict[str, Callable[[], str]] = {
    "commands": command_table,
    "analyses": analysis_table,
    "analysis-reference": analysis_reference,
    "speed": lambda: speed_table("results"),
    "speed-commands": command_speed_table,
    "speed-memorization": lambda: speed_table("memorization"),
    "accuracy": accuracy_table,
    "calibration": calibration_table,
    "coverage": coverage_table,
    "nielsen": nielsen_table,
    "verify": verify_table,
} | {
    f"verdicts-{name.replace('/', '-')}": lambda name=name: verdict_table(name)
    for name in (
        "mnist",
        "memorization",
        "memorization/sensitivity",
        "landscape",
        "valleys",
        "minima",
        "search",
        "robustness",
    )
}


def generated(text: str) -> str:
    """Return a page with all its generated parts as they should be."""
    return BLOCK.sub(lambda block: block[1] + PARTS[block[2]]() + block[3], text)


def pages() -> list[Path]:
    """Return the pages that have generated parts."""
    return [page for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text("utf-8"))]


if __name__ == "__main__":
    for page in pages():
        page.write_text(generated(page.read_text("utf-8")), encoding="utf-8")
