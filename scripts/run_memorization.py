"""Random labels against true ones over networks of several widths: 1,000 digits, 20 pairs each."""

from pathlib import Path

from probe import MLP, TrainingConfig
from probe.workflow import memorize

REPORTS = Path(__file__).resolve().parent.parent / "reports"
CONFIG = TrainingConfig(epochs=300, batch_size=50, learning_rate=0.1, stop="fitted")

if __name__ == "__main__":
    for width in (16, 64, 256):
        architecture = MLP(hidden=(width,), activation="relu")
        out = REPORTS / f"memorization-{width}"
        written = memorize(architecture, CONFIG, n_samples=1000, replicates=20, out=out, seed=0)
        print(f"784-{width}-10: {written.summary}")
        print(f"wrote {written.files[-1]}")
