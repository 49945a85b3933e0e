"""Shared options of programs that measure on several sets, and the loops over these sets."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from skclipens.backbones import resolve_backbones

from ._machine import parser_of
from .paper import _sets
from .paper._embedding import ALL_FEATURES, blocks_of, embed


def parser_of_sets(name, about, *, datasets=("validation",), kept="embeddings"):
    """Return a parser with options for sets, backbones and the places of their files.

    Parameters
    ----------
    name : str
        Name of the program, as in ``python -m benchmarks.NAME``.
    about : str
        Its docstring.
    datasets : sequence of str
        Which sets are the default.
    kept : str
        What is kept in the work folder.
    """
    parser = parser_of(name, about)
    add = parser.add_argument
    add("--datasets", nargs="+", default=list(datasets), help="as in benchmarks.paper")
    add("--backbones", nargs="+", default=["zoo"], help="zoo, paper, names or folders")
    add("--data-home", type=Path, help="folder of the sets, as in fetch_benchmark")
    add("--work", type=Path, help=f"{kept}; default: kept nowhere")
    return parser


def add_draws(parser, *, shots, per_class):
    """Add options of draws of labelled pictures, five by default.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    shots : list of int
        Which numbers of shots are the default.
    per_class : int
        Default of the largest number of pictures of a class in a training pool.
    """
    add = parser.add_argument
    add("--shots", nargs="+", type=int, default=shots)
    add("--draws", type=int, default=5)
    add("--per-class", type=int, default=per_class, help="at most, in a training pool")
    add("--n-test", type=int, default=1000, help="at most, where a set has a test part")


def backbones_of(options):
    """Return the names of the backbones in the options."""
    names = options.backbones[0] if len(options.backbones) == 1 else options.backbones
    return [backbone.name for backbone in resolve_backbones(names)]


def sets_of(options, **how):
    """Yield each available set and its work folder, with one thread of BLAS.

    Parameters
    ----------
    options : argparse.Namespace
        Options of :func:`parser_of_sets`.
    **how : dict
        Passed to ``_sets.load``.
    """
    names, how, found = options.datasets, {"data_home": options.data_home, **how}, False
    with tempfile.TemporaryDirectory() as kept, threadpool_limits(1, user_api="blas"):
        for dataset in _sets.load_available(names, **how):
            found = True
            yield dataset, options.work or Path(kept)
            print(f"{dataset.name} is done", file=sys.stderr)
    if not found:
        raise SystemExit("None of the sets is available.")


def embedded_sets(options):
    """Yield each set, its embeddings with pooled features, and the columns of each block.

    Parameters
    ----------
    options : argparse.Namespace
        Options of :func:`parser_of_sets` and :func:`add_draws`.
    """
    backbones = backbones_of(options)
    for dataset, work in sets_of(options, per_class=options.per_class, n_test=options.n_test):
        X = np.array(embed(dataset, backbones, work, columns=ALL_FEATURES))
        yield dataset, X, blocks_of(backbones, ALL_FEATURES)
