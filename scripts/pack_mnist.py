"""Pack MNIST's four IDX files into probe/datasets/mnist.h5: python scripts/pack_mnist.py [FOLDER]."""

import hashlib
import sys
from pathlib import Path

import h5py
import numpy as np

from probe.datasets import MNIST_SHA256
from probe.datasets._idx import IDX_PARTS, find_idx, read_idx

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "http://yann.lecun.com/exdb/mnist/"
LICENCE = "CC BY-SA 3.0, (c) Yann LeCun and Corinna Cortes"
CHUNK = 2500  # images in one compressed piece


def main(folder: Path, target: Path) -> None:
    """Write `target` from the IDX files in `folder`; the same input gives the same bytes."""
    with h5py.File(target, "w") as file:
        file.attrs.update(source=SOURCE, licence=LICENCE, class_names=np.array(list("0123456789"), dtype="S"))
        for key, part in IDX_PARTS.items():
            array = read_idx(find_idx(folder, *part))
            chunks = (CHUNK, *array.shape[1:])
            stored = file.create_dataset(
                key, data=array, chunks=chunks, compression="gzip", compression_opts=9, track_times=False
            )
            stored.attrs["sha256"] = hashlib.sha256(array.tobytes()).hexdigest()
            agrees = stored.attrs["sha256"] == MNIST_SHA256[key]
            print(f"{key:12s} {stored.attrs['sha256']} {'as recorded' if agrees else 'NOT as recorded'}")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    default = ROOT.parent / "shared" / "data" / "mnist"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default, ROOT / "probe" / "datasets" / "mnist.h5")
