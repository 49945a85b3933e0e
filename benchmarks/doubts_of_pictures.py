"""How often there are warnings about pictures: in correct forms, and after a user's mistake.

    python -m benchmarks.doubts_of_pictures --datasets local photographs --data-home DATA_HOME

Fails if more than a few correct uses get a warning.
"""

from collections import defaultdict
from functools import partial
from itertools import product

import numpy as np
import torch

from skclipens import MultiBackboneEmbedder
from skclipens.images import load_image

from ._machine import heading
from ._options import parser_of_sets, sets_of
from .doubts import conclude, is_doubted

N_PICTURES = (10, 40, 160)
SIDE = 64  # pixels, if all pictures of a batch have one size
_NOTE = """\
Shares of calls of `fit_transform` that raise a warning. {draws} draws of 10, 40 and 160 pictures of
each set; in every second draw all are of one class, as far as it has so many. "Of one size" is 64 x
64 pixels. One picture in all rows needs 20 rows, and all but the first mistakes with integers 10.
Red and blue exchanged, as OpenCV reads pictures, are found with labels only.
"""


def parse(arguments):
    parser = parser_of_sets("doubts_of_pictures", __doc__, datasets=["local"])
    parser.add_argument("--draws", type=int, default=4)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    title = "Warnings of mistakes with pictures: how often, and how often wrongly"
    print(heading(title, "doubts_of_pictures", arguments))
    print(_NOTE.format(draws=options.draws))
    by_number, by_set = defaultdict(list), defaultdict(list)
    for dataset, _ in sets_of(options):
        for draw, n in product(range(options.draws), N_PICTURES):
            rng = np.random.default_rng(draw)
            for case, images in cases(drawn(dataset, n, draw, rng)):
                told = is_doubted(partial(_embed, images))
                by_number[case, n].append(told)
                by_set[case, dataset.name].append(told)
    conclude([AS_GIVEN, *RIGHT], MISTAKES, N_PICTURES, by_number, by_set)


def _embed(images):
    MultiBackboneEmbedder("zoo/RegNet").fit_transform(images)


def drawn(dataset, n, draw, rng):
    """Draw n pictures of a set, in the form in which the set has them."""
    rows = rng.permutation(len(dataset.y))
    if draw % 2:
        rows = rows[np.argsort(dataset.y[rows] != rng.choice(dataset.y), kind="stable")]
    return [dataset.images[row] for row in rows[:n]]


def cases(images):
    """Yield forms in which a user might pass these pictures, correctly or by mistake."""
    yield AS_GIVEN, images
    pictures = [load_image(one) for one in images]
    for name, make in (RIGHT | MISTAKES).items():
        yield name, make(pictures)


def _resized(picture):
    return picture.resize((SIDE, SIDE))


def _arrays(pictures):
    return [np.asarray(one) for one in pictures]


def _batch(pictures):
    """Return pictures of one size: uint8 of shape (n, SIDE, SIDE, 3)."""
    return np.stack(_arrays(map(_resized, pictures)))


def _tensors(pictures):
    return torch.from_numpy(_batch(pictures)).permute(0, 3, 1, 2).contiguous()


class _Dataset(torch.utils.data.Dataset):
    """A map-style dataset of pictures with a transform."""

    def __init__(self, pictures, transform):
        self.pictures, self.transform = pictures, transform

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, row):
        return self.transform(self.pictures[row])


def _with_random_crops(pictures):
    rng = np.random.default_rng(0)

    def crop(picture):
        left, upper = rng.integers(0, 8, 2)
        return _resized(picture).crop((left, upper, left + 56, upper + 56))

    return _Dataset(pictures, crop)


def _scrambled(pictures):
    first = np.ascontiguousarray(_batch(pictures).transpose(0, 3, 1, 2))
    return first.reshape(-1, SIDE, SIDE, 3)


def _wide(pictures):
    return _arrays(one.resize((SIDE * 3 // 2, SIDE)) for one in pictures)


def _one_buffer(pictures):
    buffer, rows = np.zeros((SIDE, SIDE, 3), np.uint8), []
    for one in pictures:
        buffer[:] = _resized(one)
        rows.append(buffer)
    return rows


def _with_infrared(pictures):
    batch = _batch(pictures)
    return np.concatenate([batch, batch.mean(axis=3, keepdims=True).astype(np.uint8)], axis=3)


AS_GIVEN = "as the set has them"
RIGHT = {
    "PIL images": list,
    "arrays of uint8": _arrays,
    "arrays of one size, 0 to 1": lambda pictures: _batch(pictures) / 255,
    "arrays of uint16": lambda pictures: _batch(pictures).astype(np.uint16) * 257,
    "grey arrays": lambda pictures: _arrays(one.convert("L") for one in pictures),
    "arrays with alpha": lambda pictures: _arrays(one.convert("RGBA") for one in pictures),
    "arrays of 64 x 96": _wide,
    "arrays of 32 x 32": lambda pictures: _arrays(one.resize((32, 32)) for one in pictures),
    "tensors of uint8": _tensors,
    "tensors, 0 to 1": lambda pictures: list(_tensors(pictures) / 255),
    "a dataset": lambda pictures: _Dataset(pictures, _resized),
}
MISTAKES = {
    "channels first, brought last by reshape": _scrambled,
    "channels last, brought first by view": lambda pictures: torch.from_numpy(
        _batch(pictures)
    ).view(-1, 3, SIDE, SIDE),
    "height and width exchanged in reshape": lambda pictures: [
        one.reshape(one.shape[1], one.shape[0], 3) for one in _wide(pictures)
    ],
    "0 to 1 as integers": lambda pictures: list(_batch(pictures) // 128),
    "0 to 4095 as uint16": lambda pictures: _batch(pictures).astype(np.uint16) * 16,
    "one array, filled again for each row": _one_buffer,
    "one picture in all rows": lambda pictures: pictures[:1] * len(pictures),
    "random crops in a dataset": _with_random_crops,
    "near infrared as a fourth channel": _with_infrared,
    "red and blue exchanged": lambda pictures: [one[..., ::-1] for one in _arrays(pictures)],
}


if __name__ == "__main__":
    main()
