"""Keep what pages say of networks in general: python scripts/record_robustness.py.

Reads two results of `probe robustness` and writes probe/pages/general.json: reports/samples/robustness, of the whole
range, and reports/samples/robustness/recipes, of more networks of the video's shape by each recipe:

    cd reports/samples
    probe robustness --workers 2 --out robustness
    probe robustness --hidden 16,16 --lengths 1 --datasets '' --replicates 4 --workers 2 --out robustness/recipes
"""

import json
from pathlib import Path

import numpy as np

import probe
from probe.analyses.robustness import Robustness

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "probe" / "pages" / "general.json"


def by_recipe(result: Robustness, key: str) -> str:
    """Return for how many networks of each recipe a claim is supported, and how its statistic is distributed."""
    index, parts = result.claims.index(key), []
    spec = ".0%" if result.units[index] == "share" else ".2f"
    for setting in range(result.n_settings):
        n_supported = int((result.decisions[index, setting] == 0).sum())
        low, middle, high = np.quantile(result.statistics[index, setting], [0.05, 0.5, 0.95])
        parts.append(
            f"{n_supported} by the {result.recipe[setting]} recipe (median {middle:{spec}}, middle 90% "
            f"{low:{spec}} to {high:{spec}})"
        )
    n = result.decisions.shape[2]
    return f"Of {n} networks {result.architecture[0]} on {result.data[0]} it is supported for {' and '.join(parts)}."


def in_short(sentence: str) -> str:
    """Return what a verdict in general says, without the shares of each level."""
    return sentence.partition(". ")[0].rstrip(".") + "."


def main() -> None:
    """Read, word, write."""
    folder = ROOT / "reports" / "samples" / "robustness"
    throughout, recipes = (
        probe.load_result(path / "results.h5", Robustness) for path in (folder, folder / "recipes")
    )
    recorded = {
        "command": "probe robustness",
        "sentences": {verdict.key: in_short(verdict.sentence) for verdict in throughout.verdicts},
        "recipes": {verdict.key: by_recipe(recipes, verdict.key) for verdict in throughout.verdicts},
    }
    OUT.write_text(json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    main()
