"""Keep what pages say of networks in general: python scripts/record_robustness.py [FOLDER].

Reads the results of `probe robustness` and writes probe/report/general.json. For the recipes it counts the networks of the
video's shape, trained for as long as the recipe says, on the first data.
"""

import json
import sys
from pathlib import Path

import probe
from probe.analyses.robustness import Robustness

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "probe" / "report" / "general.json"


def sentences(result: Robustness) -> dict[str, str]:
    """Return a sentence for each claim."""
    found = {}
    usual = [
        k
        for k in range(result.n_settings)
        if (result.architecture[k], result.length[k], result.data[k]) == ("16-16", "x 1", result.data[0])
    ]
    for index, (key, verdict) in enumerate(zip(result.claims, result.verdicts, strict=True)):
        counts = [
            f"{int((result.decisions[index, k] == 0).sum())} of {result.decisions.shape[2]} by the {result.recipe[k]} recipe"
            for k in usual
        ]
        found[key] = (
            f"{verdict.sentence} Of networks 16-16 on {result.data[0]} it is supported for {' and '.join(counts)}."
        )
    return found


def main() -> None:
    """Read, word, write."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "reports" / "robustness"
    result = probe.load_result(folder / "results.h5", Robustness)
    OUT.write_text(
        json.dumps({"command": "probe robustness", "sentences": sentences(result)}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
