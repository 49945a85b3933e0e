"""How often a pipeline notices that red and blue are exchanged, as OpenCV reads pictures.

    python -m benchmarks.channels --datasets validation --data-home DATA_HOME

Fails if more than a few fits on pictures in the right order get the warning.
"""

from collections import defaultdict
from functools import partial
from itertools import product

import numpy as np

from skclipens import make_backbone_pipeline
from skclipens.heads import names_of_classes
from skclipens.images import load_image

from ._machine import heading
from ._options import backbones_of, parser_of_sets, sets_of
from .doubts import conclude, said

N_PICTURES = (20, 40, 160)
_SAID = "red and blue exchanged"
_NOTE = """\
Shares of fits of a pipeline with prompts that warn of exchanged red and blue. {draws} draws of 20,
40 and 160 labelled pictures of {classes} of each set, as arrays. Names without meaning are those of
the set in another order.
"""
RIGHT, MISTAKES = ("RGB", "RGB, names without meaning"), ("BGR",)


def parse(arguments):
    parser = parser_of_sets("channels", __doc__)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--classes", type=int, help="at most, drawn at random; default: all")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    print(heading("Red and blue exchanged: how often it is noticed", "channels", arguments))
    classes = f"{options.classes} classes" if options.classes else "all classes"
    print(_NOTE.format(draws=options.draws, classes=classes))
    backbones, by_number, by_set = backbones_of(options), defaultdict(list), defaultdict(list)
    for dataset, _ in sets_of(options):
        for draw, n in product(range(options.draws), N_PICTURES):
            for case, told in cases(dataset, backbones, n, options.classes, draw):
                by_number[case, n].append(told)
                by_set[case, dataset.name].append(told)
    conclude(RIGHT, MISTAKES, N_PICTURES, by_number, by_set)


def cases(dataset, backbones, n, n_classes, draw):
    """Yield cases, and whether a fit on this draw warns of exchanged red and blue."""
    rng = np.random.default_rng(draw)
    classes = rng.permutation(np.unique(dataset.y))[:n_classes]
    rows = rng.permutation(np.flatnonzero(np.isin(dataset.y, classes)))[:n]
    pictures = [np.asarray(load_image(dataset.images[row])) for row in rows]
    y = dataset.y[rows]
    names = dict(zip(classes, names_of_classes(classes, dataset.class_names), strict=True))
    others = dict(zip(names, rng.permutation(list(names.values())).tolist(), strict=True))
    exchanged = [picture[..., ::-1] for picture in pictures]
    given = (pictures, names), (pictures, others), (exchanged, names)
    for case, (images, of_classes) in zip((*RIGHT, *MISTAKES), given, strict=True):
        prompts = dataset.prompts | {"class_names": of_classes}
        clf = make_backbone_pipeline(backbones, head="zero-shot", **prompts)
        yield case, any(_SAID in one for one in said(partial(clf.fit, images, y)))


if __name__ == "__main__":
    main()
