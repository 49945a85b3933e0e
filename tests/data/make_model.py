"""Write a small fitted pipeline of this version, which later versions have to load.

    python -m tests.data.make_model

Run once per release; files of earlier releases stay.
"""

from pathlib import Path

import joblib
import numpy as np

import skclipens
from skclipens import make_backbone_pipeline
from skclipens.datasets import load_emoji

FOLDER = Path(__file__).parent


def pictures(n_classes=4, n_rows=8):
    """A few pictures of a few classes, and their labels."""
    emoji = load_emoji(min_class_size=40)
    rows = [np.flatnonzero(emoji.target == label)[:n_rows] for label in range(n_classes)]
    rows = np.concatenate(rows)
    return emoji.filenames[rows], emoji.target_names[emoji.target[rows]]


def main():
    """Fit on half of the pictures, and keep what is said of the others."""
    X, y = pictures()
    clf = make_backbone_pipeline(["zoo/RN20", "zoo/ViT-8"], precision="fp32", random_state=0)
    clf.fit(X[::2], y[::2])
    kept = {"model": clf, "proba": clf.predict_proba(X[1::2])}
    joblib.dump(kept, FOLDER / f"model-{skclipens.__version__}.joblib", compress=9)


if __name__ == "__main__":
    main()
