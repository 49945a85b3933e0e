"""A common form for all sets of images."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class ImageSet:
    """Images with labels, and the published split.

    ``train`` and ``test`` are the positions of images to draw training images from, and of test
    images; None draws from all images and tests on the rest.
    """

    name: str
    images: list
    y: np.ndarray  # str
    class_names: dict | None = None  # names in prompts; None: the labels
    templates: list | None = None
    train: np.ndarray | None = None
    test: np.ndarray | None = None
    gathered_from: str = ""

    @property
    def prompts(self):
        """Return the parameters of heads and ensembles that start from prompts."""
        return {"class_names": self.class_names, "templates": self.templates}


class MissingSetError(Exception):
    """Error for a set that is not available; the message gives the reason."""


def subset(image_set, rows, **changes):
    """Return the images at some positions, in increasing order, with their pools."""
    pools = {
        name: None if pool is None else np.flatnonzero(np.isin(rows, pool))
        for name, pool in (("train", image_set.train), ("test", image_set.test))
    }
    images = [image_set.images[row] for row in rows]
    return replace(image_set, images=images, y=image_set.y[rows], **pools, **changes)


def half_of_classes(image_set, start, name, without=()):
    """Return every second class, by sorted label, from the first (0) or the second (1)."""
    labels = sorted(image_set.class_names)[start::2]
    class_names = {one: image_set.class_names[one] for one in labels if one not in without}
    rows = np.flatnonzero(np.isin(image_set.y, list(class_names)))
    which = f"{image_set.gathered_from}; classes at {name.rpartition('-')[2]} positions"
    return subset(image_set, rows, name=name, class_names=class_names, gathered_from=which)


def capped(image_set, per_class, n_test, seed=0):
    """Return a set with at most some images in its pools; sets without pools are unchanged."""
    if image_set.train is None:
        return image_set
    rng = np.random.default_rng(seed)
    y = image_set.y[image_set.train]
    train = [rng.permutation(image_set.train[y == one])[:per_class] for one in np.unique(y)]
    test = rng.permutation(image_set.test)[:n_test]
    rows = np.sort(np.concatenate([*train, test]))
    if len(rows) == len(image_set.train) + len(image_set.test):
        return image_set
    text = (
        f"{image_set.gathered_from}; sampled once (seed {seed}): {len(test)} of "
        f"{len(image_set.test)} test images, up to {per_class} of each class to train"
    )
    return subset(image_set, rows, gathered_from=text)
