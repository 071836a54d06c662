"""Write the sample report that the repository shows: reports/samples/mnist, as `probe report` writes it."""

from pathlib import Path

from probe.workflow import report

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    written = report(out=ROOT / "reports" / "samples" / "mnist", seed=0, overwrite=True)
    print(written.summary)
    print(*written.files, sep="\n")
