"""Warnings of columns that are constant, number the rows, encode the labels, or have no names."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from .._utils._folds import codes_of, stratified_rows
from .._utils._linalg import SOME_ROWS, row_squares, subsample, take_columns, unit_rows
from .._utils._messages import listed
from .._utils._warnings import warn
from ..backbones._blocks import columns_of
from ..backbones._kinds import kind_behind_prefix
from ._embeddings import is_constant, mean_cosine, warn_of_rescaled_blocks
from ._row_order import is_class_by_class
from ._seen_columns import listed_columns
from ._seen_embeddings import NARROWEST

_NEARLY_ALL, _ALL_OF_TWO = 0.99, 0.9999  # of a variance
_LARGE, _APART = 100, 100  # a variance of unscaled numbers, and its ratio to those of others
_ONE_DIRECTION = 0.9999  # mean cosine; that of embeddings is far below
_STEP_TOLERANCE = 1e-2  # of a step between rows
_FEWEST = 20  # rows whose steps are not all equal by chance
_EXPECTED_TIES = 5  # pairs of rows with the same integer, if these were drawn at random
_FEWEST_OF_CLASSES = 50  # rows that are not sorted by class by chance
_BY_CHANCE = 1e-4  # a probability that a column of a table is in order within the classes
_CALLED_INDEX = re.compile(
    r"(?:^|[^A-Za-z])(?i:unnamed: ?\d+|index|idx|level_\d+|id|key|sku|row|no|nr|number)$"
    r"|[a-z]I[dD]$"
)
# Log-loss of guessing, summed over the rows. Below it, results may be chance.
ENOUGH_LOSS = 100
NO_CHANCE = 30  # the same, for a column that has one value for each class
# Column names of BlockPCA, scikit-learn's reductions and UMAP.
_REDUCTIONS = """
    pca incrementalpca kernelpca sparsepca minibatchsparsepca truncatedsvd fastica factoranalysis
    nmf minibatchnmf latentdirichletallocation dictionarylearning minibatchdictionarylearning isomap
    lineardiscriminantanalysis neighborhoodcomponentsanalysis locallylinearembedding umap
    gaussianrandomprojection sparserandomprojection featureagglomeration kmeans minibatchkmeans
    nystroem rbfsampler
""".split()
_REDUCED = re.compile(rf"(?:^|__)(?:{'|'.join(_REDUCTIONS)})\d+$")
_OF_LEVELS = "; of a MultiIndex, join the levels: X.columns = X.columns.map('__'.join)"
_SCALE = (
    "Scale columns that are not embeddings, for example with StandardScaler in a ColumnTransformer"
)
_REPLACED = re.compile(r"tmp_col_name_\d+_\d+")  # by ColumnTransformer
_SAY_SO = "say so: blocks=[('all', slice(None))]."


class ReadAsScaled(NamedTuple):
    """Columns that are read without rescaling.

    Attributes
    ----------
    columns : ndarray of int
    reader : str
        Name of the head or router that reads them.
    centred : bool
        Whether it subtracts their means.
    """

    columns: np.ndarray
    reader: str
    centred: bool


def warn_of_columns(blocks, compared_with_texts, read_as_scaled, X, y, names):
    """Warn of columns that cannot give good predictions; return the position of an index, or None.

    That is if all rows of a block are the same; a column is an index; columns have nearly all of
    the variance that a head reads; or embeddings that are compared with texts were centred or
    scaled. `blocks` are those that heads read, `compared_with_texts` some of them, and
    `read_as_scaled` are :class:`ReadAsScaled`.
    """
    if len(X) < 2:
        return None
    index = warn_of_index(X, y, names)
    _warn_of_constant_blocks(blocks, X)
    warn_of_rescaled_blocks(compared_with_texts, X)
    warn_of_dominant_columns(read_as_scaled, X, names, index)
    return index


def warn_of_index(X, y, names):
    """Warn of a column that numbers the rows; return its position, or None."""
    index, why = _index(X, y, names)
    if index is not None:
        warn(
            f"{_called(index, names)} {why}, like an index. If it is an index or a time, leave it "
            "out: it tells nothing about new rows.",
            key="index of rows",
        )
    return index


def _index(X, y, names):
    """Return the position of a column that numbers the rows, or None, and the reason as text."""
    apart = -(-len(X) // SOME_ROWS)  # steps are compared, so rows are evenly spaced
    some, y = X[::apart], y[::apart]
    if len(some) < _FEWEST:
        return None, ""
    steps = np.diff(some[:3], axis=0)
    columns = np.flatnonzero((steps[0] != 0) & _are_equal(*steps))
    steps = np.diff(some[:, columns], axis=0)
    found = columns[_are_equal(steps, steps[0]).all(axis=0)]
    if len(found):
        return int(found[0]), "changes by the same from each row to the next"
    # An index of shuffled rows, or of a part of a table. Random integers in such a small range
    # would have ties. Ranks would not, so the name of the column or the classes must decide.
    whole = np.flatnonzero((some[:3] == np.rint(some[:3])).all(axis=0))
    values = np.sort(some[:, whole], axis=0)
    pairs, span = len(some) * (len(some) - 1) / 2, values[-1] - values[0] + 1
    differ = (values[1:] > values[:-1]).all(axis=0) & (values == np.rint(values)).all(axis=0)
    for column in whole[differ & (pairs > _EXPECTED_TIES * span)].tolist():
        if _is_row_number(some[:, column], y, None if names is None else names[column]):
            return column, "has a different integer in each row"
    if _are_sorted(y):
        steps, codes = np.diff(some, axis=0), codes_of(y)
        in_order = (steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)
        found = np.flatnonzero(in_order & (some[0] != some[-1])).tolist()
        found = [i for i in found if _is_in_order_within(some[:, i], codes, len(steps.T))]
    said = "rises or falls with the number of the row, as rows are sorted by class"
    return (found[0], said) if len(found) else (None, "")


def _is_in_order_within(values, y, n_columns):
    """Return whether rows of the classes, which are sorted, are so within them not by chance.

    A flag is no time, and tables may be sorted by the class and a flag.
    """
    values = codes_of(values)
    if values.max() < 2:
        return False
    sizes = np.bincount(y)
    ties = np.unique(np.stack([y, values], axis=1), axis=0, return_counts=True)[1]
    # Of the orders of the rows of each class, this is one of so many that differ.
    return gammaln(sizes + 1).sum() - gammaln(ties + 1).sum() > np.log(n_columns / _BY_CHANCE)


def _is_row_number(values, y, name):
    """Return whether an index or rank is an index, by its name, its order or the classes."""
    in_order = len(np.unique(np.sign(np.diff(values)))) == 1
    if in_order or (name is not None and _CALLED_INDEX.search(name)):
        return True
    return len(y) >= _FEWEST_OF_CLASSES and _are_sorted(y[np.argsort(values)])


def _are_sorted(y):
    """Return whether rows are sorted by class: three classes or more, two rows each on average."""
    return 2 < len(np.unique(y)) <= len(y) / 2 and is_class_by_class(y.tolist())


def _are_equal(steps, others):
    return np.abs(steps - others) <= _STEP_TOLERANCE * np.abs(others)


def warn_of_unjudged_columns(kinds, validated):
    """Warn if a head without validation rows reads columns beside the pictures, and those alone.

    `kinds` says of each head whether it reads "pictures", "others" or "both".
    """
    unjudged = np.array(kinds)[~validated]
    if "pictures" in kinds and "others" in unjudged:
        warn(
            "No row of most classes can be held out, if rows of a class with the same numbers "
            "count as one, so nothing shows how much the columns beside the pictures tell. If they "
            "tell nothing, predictions are worse than by the pictures alone. Leave out columns of "
            "which you are not sure, or label two rows or more of each class, with other numbers.",
            key="unjudged columns",
        )


def _warn_of_constant_blocks(blocks, X):
    constant = [block.name for block in blocks if is_constant(X, block.columns)]
    if constant:
        warn(
            f"All rows of X are the same in {listed(constant)}, so these columns tell nothing "
            "about the classes. Check how they were made."
        )


def warn_of_dominant_columns(read_as_scaled, X, names, index=None):
    """Warn of columns beside which the others hardly count for a head or a router.

    They have nearly all of the variance; or, where nothing centres them, they are so far from zero
    that all rows have nearly one direction.
    """
    some, named = subsample(X), {index}  # an index has its own warning
    for columns, reader, centred in read_as_scaled:
        values = take_columns(some, columns)
        dominant = columns[_dominant(values)]
        farthest = columns[[row_squares(values.T).argmax()]]
        if len(dominant) and not named.issuperset(dominant.tolist()):
            called = listed_columns(dominant, names)
            which = f"Column {called} has" if len(dominant) == 1 else f"Columns {called} have"
            warn(
                f"{which} more than {_NEARLY_ALL:.0%} of the variance of what {reader!r} "
                f"reads, so the other columns hardly count. {_SCALE}, or leave an index out.",
                key=f"dominant {dominant.tolist()}",
            )
            named.update(dominant.tolist())
        elif not centred and farthest[0] not in named and _have_one_direction(values):
            warn(
                f"Rows of what {reader!r} reads have nearly one direction, so they hardly differ: "
                f"column {listed_columns(farthest, names)} is far from zero. {_SCALE}.",
                key=f"far {farthest.tolist()}",
            )
            named.update(farthest.tolist())


def _have_one_direction(values):
    """Return whether rows have nearly one direction, and are not all the same."""
    if len(values) < _FEWEST or (values == values[0]).all():
        return False
    return mean_cosine(unit_rows(values)) > _ONE_DIRECTION


def _dominant(values):
    """Return the positions of the columns that have nearly all of the variance; else none."""
    variances = values.var(axis=0, dtype=np.float64)
    order = np.argsort(-variances, kind="stable")
    # Of two columns, one may rightly be small, such as one of zeros and a few ones.
    share = _NEARLY_ALL if len(variances) > 2 else _ALL_OF_TWO
    n = int(np.searchsorted(np.cumsum(variances[order]), share * variances.sum(), "right")) + 1
    some, others = variances[order[:n]], variances[order[n:]]
    # Several columns: their units are others, as of prices and areas beside ratings. Not so the
    # columns of a PCA, or scaled columns beside rare ones.
    unlike = n == 1 or (some[-1] > max(_LARGE, _APART * others.max(initial=0)))
    return order[:n] if others.any() and unlike else order[:0]


def warn_of_labels_in_columns(blocks, X, y, names, index=None):
    """Warn of a column that is not an embedding and encodes the class of each row.

    That is if a column, or several together, have a distinct value for each class, in too many rows
    to be chance; or if the values of a named one lie apart for three classes or more. The column at
    the position `index` has a warning of its own.
    """
    some = stratified_rows(y, SOME_ROWS)
    codes = codes_of(y[some])
    several = np.bincount(codes)[codes] > 1  # of one row, each column has one value
    X, targets = X[some[several]], codes_of(codes[several])
    n_rows = np.bincount(targets)
    # Depends on how frequent classes are: a flag of a rare event may match a class by chance.
    loss = n_rows @ np.log(len(X) / n_rows)
    if loss < NO_CHANCE:
        return
    order, starts = np.argsort(targets), np.cumsum(n_rows) - n_rows
    others = [block.columns for block in blocks if block.backbone is None]
    for columns in others:
        values = take_columns(X, columns)[order]
        lowest, highest = (of.reduceat(values, starts) for of in (np.minimum, np.maximum))
        one_value = (lowest == highest).all(axis=0) & (lowest != lowest[0]).any(axis=0)
        telling = _determine_class(np.flatnonzero(one_value), lowest)
        if len(telling):
            named = listed((_called(columns[place], names) for place in telling), write=str)
            warn(
                f"{named}: one value for each class, and no two classes have the same. If this was "
                "made of the labels, leave it out of X: rows to predict will not have it."
            )
            return
        has_names = names is not None and loss >= ENOUGH_LOSS
        for column in columns[_lie_apart(lowest, highest)] if has_names else ():
            # Components may tell easy classes apart.
            if column != index and not _REDUCED.search(names[column]):
                warn(
                    f"{_called(column, names)}: no two classes overlap in it. If the "
                    "labels were made of it, as classes of prices are, leave it out of X."
                )
                return


def _determine_class(places, values):
    """Return one column, or else all together, if they have a distinct value for each class."""
    for telling in [*places[:, None], places]:
        if len(telling) and len(np.unique(values[:, telling], axis=0)) == len(values):
            return telling
    return []


def _lie_apart(lowest, highest):
    """Return the columns in which each of three classes or more has a range of its own."""
    order = np.argsort(lowest, axis=0)
    lowest, highest = (np.take_along_axis(of, order, axis=0) for of in (lowest, highest))
    return np.flatnonzero((highest[:-1] < lowest[1:]).all(axis=0) & (len(lowest) > 2))


def _called(column, names):
    return f"Column {column}" if names is None else f"Column {names[column]!r}"


def warn_of_unnamed_columns(blocks, names, so="gets one head and no prompts, which costs accuracy"):
    """Warn of many columns that may be embeddings, but do not have the names of embeddings.

    That is if no block belongs to a backbone, and columns are components, as of a BlockPCA or a
    PCA, or as many as a backbone gives have no names, or names that differ only by a number. In the
    message, `so` is the consequence. Beside the block of a backbone, it is if as many other columns
    have its names in theirs.
    """
    # Of some of a backbone's columns, what finds blocks has warned already.
    known = [block for block in blocks if kind_behind_prefix(block.name)]
    if known:
        warn_of_renamed_columns(known, np.delete(names, columns_of(known)))
        return
    reduced = [] if names is None else [name for name in names if _REDUCED.search(name)]
    if reduced:
        warn(
            f"X has columns such as {reduced[0]!r}, which were made of others, and they are "
            f"in one block that {so}. Give the embeddings themselves. If this is meant, {_SAY_SO}"
        )
        return
    is_wide = names is not None and len(names) >= NARROWEST
    if is_wide and any(map(_REPLACED.fullmatch, names)):
        warn(
            "The columns of X have lost their names, as a transformer of a ColumnTransformer gives "
            f"none to its own, so they are one block that {so}. Give a FunctionTransformer "
            "feature_names_out: 'one-to-one', or a function of itself and of the names that it "
            "gets, which returns the new ones."
        )
        return
    said = _many_alike(1 + max(block.columns.max() for block in blocks), names)
    if said is None:
        return
    of_levels = "" if names is not None else _OF_LEVELS
    warn(
        f"{said} that {so}. If they are embeddings, name what made them, such "
        "as blocks='zoo', or give a frame with the embedder's names: set_output("
        f"transform='pandas') of the embedder or the ColumnTransformer{of_levels}. If not, "
        f"{_SAY_SO}"
    )


def warn_of_renamed_columns(blocks, others):
    """Warn of other columns than those of the blocks, if these names occur in theirs."""
    for kind in {block.kind: None for block in blocks if block.kind}:
        name_within = re.compile(rf"{re.escape(kind.name)}__\d")
        renamed = [name for name in others if name_within.search(name)]
        if len(renamed) >= kind.width:
            warn(
                f"X has {len(renamed)} columns with names such as {renamed[0]!r}, which no "
                "embedder gives, beside columns of an embedder. So they are not read as "
                "embeddings. If they are of a second column of pictures, put its name and '__' in "
                f"front, as in 'side__{kind.name}__0', before tables are joined, or embed each "
                "column of pictures in a ColumnTransformer."
            )
            return


def _many_alike(n_features, names):
    """Return text on as many unnamed or similarly named columns as a backbone gives, or None."""
    if names is None and n_features >= NARROWEST:
        return (
            f"X has no names of columns that are strings, so its {n_features} columns are one block"
        )
    stems = [re.sub(r"\d+", "#", name) for name in ([] if names is None else names)]
    stem, n_columns = Counter(stems).most_common(1)[0] if stems else ("", 0)
    if n_columns < NARROWEST:
        return None
    return (
        f"X has {n_columns} columns with names such as {names[stems.index(stem)]!r}, which no "
        "embedder gives. So they form one block"
    )
