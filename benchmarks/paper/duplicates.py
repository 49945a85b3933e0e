"""Look for pictures of validation sets in test sets, which were gathered by others.

    python -m benchmarks.paper.duplicates --data-home DATA_HOME

Two pictures are taken for one if their grey thumbnails are nearly proportional. Crops are not
found.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from skclipens.images import load_image

from .._machine import parser_of
from . import _roles, _sets

THRESHOLD = 0.98
_SIDE = 16
_AT_ONCE = 1024


def thumbnails(images):
    """Return unit vectors of shape (n, 256), without their mean; zero for images of one colour."""
    rows = np.zeros((len(images), _SIDE**2), np.float32)
    for row, image in zip(rows, images, strict=True):
        small = load_image(image).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        row[:] = np.asarray(small, np.float32).ravel()
        row -= row.mean()
        row /= max(np.linalg.norm(row), 1.0)
    return rows


def same_pictures(ours, theirs, threshold=THRESHOLD):
    """Return pairs of rows of two arrays of thumbnails, (n, 2)."""
    pairs = [np.empty((0, 2), int)]
    for start in range(0, len(ours), _AT_ONCE):
        alike = ours[start : start + _AT_ONCE] @ theirs.T > threshold
        pairs.append(np.argwhere(alike) + [start, 0])
    return np.concatenate(pairs)


def main(arguments=None):
    """Run the program."""
    parser = parser_of("paper.duplicates", __doc__)
    parser.add_argument("--data-home", type=Path)
    options = parser.parse_args(arguments)
    seen = {}
    for role in (_roles.VALIDATION, _roles.TEST):
        for name in _roles.photographs(role):
            found = _sets.load(name, False, data_home=options.data_home)
            seen.setdefault(role, {})[name] = found, thumbnails(found.images)
    for name, (one, ours) in seen[_roles.VALIDATION].items():
        for other_name, (other, theirs) in seen[_roles.TEST].items():
            pairs = same_pictures(ours, theirs)
            print(f"{name}, {other_name}: {len(pairs)} pairs")
            for i, j in pairs:
                print(f"  {one.images[i]}  {other.images[j]}")


if __name__ == "__main__":
    main()
