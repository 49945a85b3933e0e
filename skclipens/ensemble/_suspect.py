"""Columns that look like a mistake: constant, of row numbers, out of place, or rescaled."""

import re
from collections import Counter

import numpy as np

from .._utils._folds import groups_of_copies, in_company
from .._utils._messages import listed
from .._utils._warnings import warn
from ..heads._classifier import LogitClassifierMixin
from ..heads._text_head import BaseTextHead
from ._blocks import take

_ENOUGH_ROWS = 1000  # to tell which column varies the most
_NEARLY_ALL = 0.99  # of a variance
_STEADY, _FEWEST = 1e-2, 20  # of a step between rows; rows of which all steps are not equal by luck
_UNIT = 1e-3  # of lengths that are one; a column less or more changes those of embeddings by more
_CENTRED = 1e-3  # of the length of a row; the mean of embeddings is about half as long as they are
_FAR_FROM_ONE = 10  # a mean of weights, or one over it
_NARROWEST = 128  # columns that a backbone gives at least
# Of the log-loss of guessing. Where this sums to so much over the rows, that of shuffled labels is
# seldom below 0.97 of it, and that of right ones, cats and dogs of 32 pixels too, at most 0.95.
_GUESSING, _ENOUGH_LOSS = 0.97, 100
_REDUCED = re.compile(r"__pca\d+$")  # as BlockPCA names columns
_SAY_SO = "say so: blocks=[('all', slice(None))]."


def warn_of_columns(experts, X, names):
    """Warn of columns from which no good answer can come.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)
    names : ndarray of shape (n_features,) or None
        Names of the columns.

    Warns
    -----
    UserWarning
        If all rows of a block are the same; if a column is an index, or has nearly all of the
        variance that one of this package's heads gets to see; or if embeddings that are compared
        with texts are a place off, or were centred or scaled. Names the blocks, or the column.
    """
    if len(X) < 2:
        return
    index = _index(X)
    if index is not None:
        warn(
            f"{_called(index, names)} changes by the same from each row to the next, as an index "
            "does. If it is one, leave it out: it says nothing of rows to predict."
        )
    _warn_of_places(experts, X)
    same, rescaled, largest = [], [], None
    for block, of_block in _by_block(experts):
        values = take(X, block.columns)
        if _is_constant(values):
            same.append(block.name)
        elif any(isinstance(one.head, BaseTextHead) for one in of_block) and _is_rescaled(values):
            rescaled.append(block.name)
        linear = [one for one in of_block if isinstance(one.head, LogitClassifierMixin)]
        reader = next((one for one in linear if one.learns), None)
        column = None if largest or reader is None else _largest(values)
        if column is not None:
            largest = block.columns[column], reader
    if same:
        warn(
            f"All rows of X are the same in {listed(same)}, which so says nothing of the classes. "
            "Look at what made these columns."
        )
    if rescaled:
        warn(
            f"The columns of {listed(rescaled)} were centred or scaled, so features "
            "of texts no longer fit them. Give embeddings as the embedder makes them, and scale "
            "only the other columns."
        )
    if largest and largest[0] != index:
        column, reader = largest
        warn(
            f"{_called(column, names)} has more than {_NEARLY_ALL:.0%} of the variance of what "
            f"{reader.name!r} reads, so the other columns hardly count. Scale columns that are no "
            "embeddings, say by StandardScaler in a ColumnTransformer, or leave an index out."
        )


def _index(X):
    """Position of a column whose steps from row to row are all the same, or None."""
    some = some_rows(X)
    if len(some) < _FEWEST:
        return None
    steps = np.diff(some[:3], axis=0)
    columns = np.flatnonzero((steps[0] != 0) & _are_equal(*steps))
    steps = np.diff(some[:, columns], axis=0)
    found = columns[_are_equal(steps, steps[0]).all(axis=0)]
    return int(found[0]) if len(found) else None


def _are_equal(steps, others):
    return np.abs(steps - others) <= _STEADY * np.abs(others)


def _warn_of_places(experts, X):
    """Warn if rows of a block have length one a column further left or right, and not here."""
    X = some_rows(X)
    if len(X) < _FEWEST:
        return
    for block, _ in _by_block(experts):
        start, end = block.columns[0], block.columns[0] + len(block.columns)
        if block.backbone is None or not np.array_equal(block.columns, np.arange(start, end)):
            continue
        places = [place for place in (0, 1, -1) if 0 <= start + place <= X.shape[1] - end + start]
        lengths = (np.linalg.norm(X[:, start + place : end + place], axis=1) for place in places)
        unit = (place for place, of in zip(places, lengths) if (np.abs(of - 1) < _UNIT).all())
        if place := next(unit, 0):
            warn(
                f"The embeddings of {block.name!r} seem to begin at column {start + place}, where "
                f"they have length one, and not at column {start}. Look for a column that is too "
                "many before them, such as an index, or too few."
            )
            return


def warn_of_labels_in_columns(experts, X, y, names):
    """Warn of a column that is no embedding and tells the class of each row.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    names : ndarray of shape (n_features,) or None
        Names of the columns.

    Warns
    -----
    UserWarning
        If a column, or several together, have one value for each class, for too many rows to be
        chance. Names them.
    """
    X, (classes, targets) = some_rows(X), np.unique(some_rows(y), return_inverse=True)
    n_rows = np.bincount(targets)
    if len(X) * np.log(len(classes)) < _ENOUGH_LOSS or n_rows.min() < 2:
        return
    order, starts = np.argsort(targets), np.cumsum(n_rows) - n_rows
    blocks = [block for expert in experts for block in expert.block.members]
    others = {block.name: block.columns for block in blocks if block.backbone is None}
    for columns in others.values():
        values = take(X, columns)[order]
        lowest, highest = (of.reduceat(values, starts) for of in (np.minimum, np.maximum))
        of_class = (lowest == highest).all(axis=0) & (lowest != lowest[0]).any(axis=0)
        told = _telling(np.flatnonzero(of_class), lowest)
        if len(told):
            named = listed((_called(columns[place], names) for place in told), write=str)
            warn(
                f"{named}: one value for each class, and no two classes have the same. If this was "
                "made of the labels, leave it out of X: rows to predict will not have it."
            )
            return


def _telling(places, values):
    """Columns of which one alone, or all together, have a value of its own for each class."""
    for told in [*places[:, None], places]:
        if len(told) and len(np.unique(values[:, told], axis=0)) == len(values):
            return told
    return []


def _called(column, names):
    return f"Column {column}" if names is None else f"Column {names[column]!r}"


def _by_block(experts):
    """Pairs of a block and its experts. Joined blocks have one name, of whichever blocks."""
    groups = {}
    for expert in experts:
        groups.setdefault((expert.block.name, len(expert.block.columns)), []).append(expert)
    return [(of_block[0].block, of_block) for of_block in groups.values()]


def warn_of_unnamed_columns(blocks, names, so="is compared with no texts"):
    """Warn of many columns that may be embeddings, but are not named so.

    Parameters
    ----------
    blocks : list of Block
        Of all columns.
    names : ndarray of shape (n_features,) or None
        Names of the columns.
    so : str
        What comes of it.

    Warns
    -----
    UserWarning
        If no block is a backbone's, and columns were reduced by a BlockPCA, or there are as many
        as a backbone gives: without names, or with names that differ by a number.
    """
    if any(block.backbone for block in blocks):
        return
    reduced = [] if names is None else [name for name in names if _REDUCED.search(name)]
    if reduced:
        warn(
            f"X has columns such as {reduced[0]!r}, which a BlockPCA has reduced, and they are in "
            f"one block that {so}. Give the embeddings themselves. If this is meant, {_SAY_SO}"
        )
        return
    n_features = 1 + max(block.columns.max() for block in blocks)
    if n_features < _NARROWEST:
        return
    if names is None:
        said = f"X has no names of columns, so its {n_features} columns are one block"
    else:
        stem, n_columns = Counter(re.sub(r"\d+", "#", name) for name in names).most_common(1)[0]
        if n_columns < _NARROWEST:
            return
        example = next(name for name in names if re.sub(r"\d+", "#", name) == stem)
        said = (
            f"X has {n_columns} columns such as {example!r}, which no embedder names so, and they "
            "are in one block"
        )
    warn(
        f"{said} that {so}. If they are embeddings, name what made them, such "
        "as blocks='zoo', or give a frame with the embedder's names: set_output("
        f"transform='pandas') of the embedder or the ColumnTransformer. If not, {_SAY_SO}"
    )


def warn_of_weights(weights):
    """Warn of weights that make the rows count as far more rows, or far fewer, than there are."""
    mean = 1.0 if weights is None else float(weights[weights > 0].mean())
    if not 1 / _FAR_FROM_ONE <= mean <= _FAR_FROM_ONE:
        warn(
            f"The weights of the rows are {mean:.3g} in the mean. A weight stands for so many "
            f"copies of a row, so {len(weights)} rows count as {weights.sum():.3g}. If only the "
            "ratios are meant, divide them by their mean."
        )


def warn_of_contradictions(X, y, rows):
    """Warn of rows that are the same and have different labels, as of a picture in two folders.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    rows : ndarray of shape (n,), int
        What the rows are called.

    Warns
    -----
    UserWarning
        Names the first two.
    """
    first = groups_of_copies(X, np.zeros(len(y), int))
    other = [] if first is None else np.flatnonzero(y != y[first])
    if len(other):
        one, another = first[other[0]], other[0]
        labels = np.array(y[[one, another]].tolist()).tolist()  # numpy's strings print as np.str_
        more = f", and so have {len(other) - 1} more" if len(other) > 1 else ""
        warn(
            f"Rows {rows[one]} and {rows[another]} of X are the same, but have the labels "
            f"{labels[0]!r} and {labels[1]!r}{more}. A picture has one label: leave the wrong one "
            "out, or look whether labels and rows belong together."
        )


def warn_of_groups(y, groups):
    """Warn of groups that are no less than the classes, as where labels are passed as groups.

    Parameters
    ----------
    y : ndarray of shape (n,)
    groups : ndarray of shape (n,) or None

    Warns
    -----
    UserWarning
        If classes have several rows, but none has rows of two groups.
    """
    if groups is None or len(np.unique(y)) == len(y) or in_company(y, groups).any():
        return
    warn(
        "All rows of each class are in one group, so no row can be held out to judge a head that "
        "learned from the others. A group is what belongs together within a class, such as the "
        "pictures of one object."
    )


def warn_of_guessing(ensemble, told, n_rows):
    """Warn where rows that no head has learned from are classified no better than by guessing.

    Parameters
    ----------
    ensemble : AdaptiveBackboneEnsemble
    told : float
        Log-loss of these rows over that of guessing.
    n_rows : int
        Their number.

    Warns
    -----
    UserWarning
        As where rows of X and labels stand in different orders.
    """
    enough = n_rows * np.log(len(ensemble.classes_)) > _ENOUGH_LOSS
    if told > _GUESSING and enough and ensemble.judged_.all():
        warn(
            f"X says nothing of y: {n_rows} rows that no head had learned from are classified no "
            "better than by guessing. Look whether labels and rows stand in the same order, and "
            "whether these columns can show what y says."
        )


def _is_constant(values):
    return bool((values[1] == values[0]).all() and (values == values[0]).all())


def _is_rescaled(values):
    """Whether the mean is zero, as StandardScaler makes it, or all minima are, as MinMaxScaler."""
    some = some_rows(values)
    length = np.sqrt(np.mean(np.einsum("nj,nj->n", some, some)))
    if np.linalg.norm(values.mean(axis=0)) < _CENTRED * length:
        return True
    lowest = -_CENTRED * length
    return bool((some >= lowest).all() and (values.min(axis=0) < -lowest).all())


def _largest(values):
    """Position of the column that has nearly all of the variance of three or more, or None."""
    variances = some_rows(values).var(axis=0, dtype=np.float64)
    largest = int(variances.argmax())
    is_alone = variances[largest] > _NEARLY_ALL * variances.sum()
    return largest if len(variances) > 2 and is_alone else None


def some_rows(values, most=_ENOUGH_ROWS):
    """At most so many rows of a table, at equal distances."""
    return values[:: -(-len(values) // most)]
