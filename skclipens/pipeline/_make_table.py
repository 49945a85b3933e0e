"""Make pipelines for tables with columns of pictures."""

import re
from collections import Counter
from collections.abc import Iterable

from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from .._utils._validation import refuse_class
from ._make import embedder_and_estimator, signature_with_parts
from ._pipeline import BackbonePipeline
from ._table_columns import NumberImputer, NumberScaler, WordEncoder


def make_table_pipeline(
    backbones,
    images,
    *,
    numbers=(),
    categories=(),
    transformers=(),
    estimator=None,
    submodels=False,
    unreadable_label=None,
    **parameters,
):
    """Make a classifier of the rows of a table that has columns of pictures.

    Columns that are not named are not used, such as labels and numbers of rows.

    Parameters
    ----------
    backbones : str or list of str
        As in :func:`make_backbone_pipeline`.
    images : str or list of str
        Columns of pictures, such as paths. Each is embedded by all backbones, and has its own
        experts.
    numbers : str or list of str, default=()
        Columns of numbers. Missing ones are replaced by the median of the training rows, with a
        column that says so, and all are scaled to unit variance.
    categories : str or list of str, default=()
        Columns of words such as names of shops, of which each becomes a column of zeros and ones.
        A missing value counts as a word of its own. A word that is not in the training rows gives
        zeros, with a warning.
    transformers : list of (str, transformer, columns), default=()
        What to do with other columns, such as texts and dates; as in
        :class:`~sklearn.compose.ColumnTransformer`. Each transformer must have ``set_output``, and
        keep the rows and their index.
    estimator : estimator, default=None
        The last step, fitted on all columns: any classifier or regressor. None means an
        :class:`AdaptiveBackboneEnsemble`.
    submodels : bool, default=False
        With ``on_error="nan"``, whether rows that lack a picture are predicted by models of the
        other columns; see :class:`skclipens.pipeline.BackbonePipeline`.
    unreadable_label : str, number or None, default=None
        With ``on_error="nan"``, what ``predict`` of a classifier returns for a row with an image
        that cannot be read; see :class:`skclipens.pipeline.BackbonePipeline`.
    **parameters : dict
        Parameters of :class:`MultiBackboneEmbedder` and, if `estimator` is None, of
        :class:`AdaptiveBackboneEnsemble`, as in :func:`make_backbone_pipeline`.

    Returns
    -------
    BackbonePipeline
        With the steps ``columntransformer`` and ``adaptivebackboneensemble``, or the name of the
        estimator's class in lower case. The transformers of the first step are ``numbers``,
        ``categories``, those that are given, and one for each column of pictures, by its name.

    Raises
    ------
    ValueError
        If no column of pictures is named, one column is named twice, or a transformer has no
        ``set_output``.
    TypeError
        If names of columns are no strings, or empty, `transformers` has other items than triples,
        or a parameter is unknown, or belongs to the ensemble although `estimator` replaces it.

    See Also
    --------
    make_backbone_pipeline : The same for pictures alone.
    sklearn.compose.ColumnTransformer : The first step.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens import make_table_pipeline
    >>> from skclipens.datasets import load_emoji
    >>> table = load_emoji(min_class_size=60).frame[["path", "label"]][::8]
    >>> table["price"] = np.where(table["label"] == "clothing", 30.0, 3.0)
    >>> table["shop"] = np.resize(["north", "south"], len(table))
    >>> backbones = ["zoo/RN20", "zoo/ViT-8"]
    >>> clf = make_table_pipeline(backbones, "path", numbers="price", categories="shop")
    >>> clf.fit(table, table["label"]).predict(table[:2]).shape
    (2,)
    >>> clf.expert_names_.tolist()[::3]
    ['path__zoo/RN20:zero-shot', 'path__zoo/ViT-8:kernel', 'all:linear-all']
    """
    images, numbers = _names(images, "images"), _names(numbers, "numbers")
    categories = _names(categories, "categories")
    _check_once(images, numbers, categories)
    transformers = _triples(transformers)
    embedder, estimator = embedder_and_estimator(backbones, estimator, parameters)
    steps = []  # pictures are last, so that errors in other columns come before they are embedded
    if numbers:
        filled = NumberImputer(strategy="median", add_indicator=True)
        steps.append(("numbers", make_pipeline(filled, NumberScaler()), numbers))
    if categories:
        encoder = WordEncoder(handle_unknown="ignore", sparse_output=False)
        steps.append(("categories", encoder, categories))
    steps += transformers
    for column in images:
        steps.append((_free_name(column, [name for name, *_ in steps]), clone(embedder), column))
    try:
        columns = ColumnTransformer(steps).set_output(transform="pandas")
    except ValueError as error:
        raise ValueError(
            f"{error} Each of transformers needs it, as columns are known by their names. For text "
            "take one that has it, such as StringEncoder of skrub, or make the ColumnTransformer "
            "yourself: the guide has a column of text."
        ) from error
    steps = make_pipeline(columns, estimator).steps
    return BackbonePipeline(steps, submodels=submodels, unreadable_label=unreadable_label)


def _free_name(column, taken):
    """Return the name of a column, with changes where no step may have this name."""
    name = re.sub("__+", "_", column)
    while name in {*taken, *ColumnTransformer([]).get_params(deep=False)}:
        name += "_image"
    return name


def _names(columns, what):
    """Return names of columns as a list."""
    is_one = isinstance(columns, str) or not isinstance(columns, Iterable)
    names = [columns] if is_one else list(columns)
    # A ColumnTransformer leaves out a column of pictures that is called "".
    if other := [name for name in names if not isinstance(name, str) or not name]:
        is_left = columns is None and what != "images"
        hint = f" If there are none, leave out {what}." if is_left else ""
        raise TypeError(
            f"{what} has {other[0]!r}, where the name of a column is needed, a str.{hint}"
        )
    return names


def _triples(transformers):
    """Return transformers of other columns as a list."""
    triples = list(transformers) if isinstance(transformers, Iterable) else [transformers]
    if other := [one for one in triples if not isinstance(one, (tuple, list)) or len(one) != 3]:
        raise TypeError(
            f"transformers has {other[0]!r}, where (name, transformer, columns) is needed."
        )
    for name, transformer, _ in triples:
        refuse_class(transformer, f"Transformer {name!r}")
    return triples


def _check_once(images, numbers, categories):
    if not images:
        raise ValueError("images is empty; name the columns of pictures.")
    named = Counter([*images, *numbers, *categories])
    if twice := [name for name, count in named.items() if count > 1]:
        raise ValueError(
            f"The column {twice[0]!r} is named twice in images, numbers and categories. Name it "
            "where it belongs."
        )


make_table_pipeline.__signature__ = signature_with_parts(make_table_pipeline)
