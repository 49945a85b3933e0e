"""Columns that look like a mistake: constant, of row numbers, out of place, or rescaled."""

import re
from collections import Counter

import numpy as np

from .._utils._linalg import subsample, take_columns, unit_rows
from .._utils._messages import listed
from .._utils._warnings import warn
from ..heads._classifier import LogitClassifierMixin
from ..heads._text_head import NUMBERED, BaseTextHead
from ..heads._unlike import NARROWEST, NO_CONE, likeness
from ._experts import distinct_blocks

_NEARLY_ALL, _ALL_OF_TWO = 0.99, 0.9999  # of a variance
_STEADY, _FEWEST = 1e-2, 20  # of a step between rows; rows of which all steps are not equal by luck
_SAME_BY_CHANCE = 5  # pairs of rows with the same whole number, if these were drawn at random
_UNIT = 1e-3  # of lengths that are one; a column less or more changes those of embeddings by more
_CENTRED = 1e-3  # of the length of a row; the mean of embeddings is about half as long as they are
_ALIKE = 0.7  # of columns of a part of the rows, if those of all rows may be the same
ENOUGH_LOSS = 100  # of guessing, summed over the rows: what is judged by fewer may be luck
# As BlockPCA, scikit-learn's own reductions and UMAP name columns.
_REDUCTIONS = """
    pca incrementalpca kernelpca sparsepca minibatchsparsepca truncatedsvd fastica factoranalysis
    nmf minibatchnmf latentdirichletallocation dictionarylearning minibatchdictionarylearning isomap
    lineardiscriminantanalysis neighborhoodcomponentsanalysis locallylinearembedding umap
    gaussianrandomprojection sparserandomprojection featureagglomeration kmeans minibatchkmeans
    nystroem rbfsampler
""".split()
_REDUCED = re.compile(rf"(?:^|__)(?:{'|'.join(_REDUCTIONS)})\d+$")
_SAY_SO = "say so: blocks=[('all', slice(None))]."


def warn_of_columns(experts, X, y, names):
    """Warn of columns from which no good answer can come.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    names : ndarray of shape (n_features,) or None
        Names of the columns.

    Warns
    -----
    SuspectedMistakeWarning
        If all rows of a block are the same; if a column is an index, or has nearly all of the
        variance that one of this package's heads gets to see; or if embeddings that are compared
        with texts are a place off, or were centred or scaled. Names the blocks, or the column.
    """
    if len(X) < 2:
        return
    experts_of_blocks = _by_block(experts)
    index, why = _index(X, y)
    if index is not None:
        warn(
            f"{_called(index, names)} {why}, as an index does. If it is one, or a time, leave it "
            "out: it says nothing of rows to predict."
        )
    _warn_of_places([block for block, _ in experts_of_blocks], X)
    _warn_of_constant_blocks([block for block, _ in experts_of_blocks], X)
    read_by_texts = [
        block
        for block, experts in experts_of_blocks
        if any(isinstance(expert.head, BaseTextHead) for expert in experts)
    ]
    warn_of_rescaled_blocks(read_by_texts, X)
    _warn_of_dominant_column(experts_of_blocks, X, names, index)


def _index(X, y):
    """Position of a column that numbers the rows, and how it does; None where there is none."""
    some = subsample(X)
    if len(some) < _FEWEST:
        return None, ""
    steps = np.diff(some[:3], axis=0)
    columns = np.flatnonzero((steps[0] != 0) & _are_equal(*steps))
    steps = np.diff(some[:, columns], axis=0)
    found = columns[_are_equal(steps, steps[0]).all(axis=0)]
    if len(found):
        return int(found[0]), "changes by the same from each row to the next"
    # In a part of a table, or in another order, it is still no measurement: of whole numbers that
    # are so close together, some would be the same.
    whole = np.flatnonzero((some[:3] == np.rint(some[:3])).all(axis=0))
    values = np.sort(some[:, whole], axis=0)
    pairs, span = len(some) * (len(some) - 1) / 2, values[-1] - values[0] + 1
    differ = (values[1:] > values[:-1]).all(axis=0) & (values == np.rint(values)).all(axis=0)
    found = whole[differ & (pairs > _SAME_BY_CHANCE * span)]
    if len(found):
        return int(found[0]), "has another whole number in each row"
    if _are_sorted(subsample(y)):
        steps = np.sign(np.diff(some, axis=0))
        found = np.flatnonzero((steps[0] != 0) & (steps == steps[0]).all(axis=0))
    said = "rises or falls from each row to the next, as rows are sorted by class"
    return (int(found[0]), said) if len(found) else (None, "")


def _are_sorted(y):
    """Whether the rows of each of three classes or more follow each other, of two rows or more."""
    n_classes = len(np.unique(y))
    return 2 < n_classes <= len(y) / 2 and np.sum(y[1:] != y[:-1]) == n_classes - 1


def _are_equal(steps, others):
    return np.abs(steps - others) <= _STEADY * np.abs(others)


def _warn_of_places(blocks, X):
    """Warn if rows of a block have length one a column further left or right, and not here."""
    X = subsample(X)
    if len(X) < _FEWEST:
        return
    for block in blocks:
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


def _warn_of_constant_blocks(blocks, X):
    constant = [block.name for block in blocks if _is_constant(X, block.columns)]
    if constant:
        warn(
            f"All rows of X are the same in {listed(constant)}, which so says nothing of the "
            "classes. Look at what made these columns."
        )


def _is_constant(X, columns):
    first, second = take_columns(X[:2], columns)
    return bool((second == first).all() and (take_columns(X, columns) == first).all())


def warn_of_rescaled_blocks(blocks, X):
    """Warn of blocks that are no longer as the embedder made them.

    Parameters
    ----------
    blocks : list of Block
        Those that are compared with texts.
    X : ndarray of shape (n, n_features)

    Warns
    -----
    SuspectedMistakeWarning
        Names them.
    """
    rescaled = [
        block.name
        for block in blocks
        if not _is_constant(X, block.columns) and _is_rescaled(take_columns(X, block.columns))
    ]
    if rescaled:
        warn(
            f"The columns of {listed(rescaled)} were centred or scaled, so features "
            "of texts no longer fit them. Give embeddings as the embedder makes them, and scale "
            "only the other columns."
        )


def _is_rescaled(values):
    """Whether rows were centred, as by StandardScaler, or columns scaled, as by MaxAbsScaler."""
    some = subsample(values)
    length = np.sqrt(np.mean(np.einsum("nj,nj->n", some, some)))
    if np.linalg.norm(values.mean(axis=0)) < _CENTRED * length:
        return True
    if len(some) >= _FEWEST and likeness(unit_rows(some)) < NO_CONE:
        return True
    lowest = -_CENTRED * length  # as of MinMaxScaler
    if (some >= lowest).all() and (values.min(axis=0) < -lowest).all():
        return True
    return any(_are_alike(of(some), _ALIKE) and _are_alike(of(values)) for of in (_sizes, _spreads))


def _sizes(values):
    return np.maximum(values.max(axis=0), -values.min(axis=0))


def _spreads(values):
    return values.std(axis=0)


def _are_alike(of_columns, tolerance=_CENTRED):
    return of_columns.min() >= (1 - tolerance) * of_columns.max()


def _warn_of_dominant_column(experts_of_blocks, X, names, index):
    """Warn of a column beside which a head of this package can see no other."""
    for block, experts in experts_of_blocks:
        own = [one for one in experts if one.learns and _reads_as_scaled(one.head)]
        place = _dominant(take_columns(subsample(X), block.columns)) if own else None
        if place is None:
            continue
        column = block.columns[place]
        if column != index:  # of which was warned already
            warn(
                f"{_called(column, names)} has more than {_NEARLY_ALL:.0%} of the variance of what "
                f"{own[0].name!r} reads, so the other columns hardly count. Scale columns that are "
                "no embeddings, say by StandardScaler in a ColumnTransformer, or leave an index "
                "out."
            )
        return


def _reads_as_scaled(head):
    """Whether it is a head of this package that rescales no block of those that it reads."""
    is_own = isinstance(head, LogitClassifierMixin)
    return is_own and getattr(head, "rescale", None) is None


def _dominant(values):
    """Position of the column that has nearly all of the variance, or None."""
    variances = values.var(axis=0, dtype=np.float64)
    largest = int(variances.argmax())
    # Of two, the other may be small by right, such as one of zeros and a few ones.
    share = _NEARLY_ALL if len(variances) > 2 else _ALL_OF_TWO
    is_alone = variances[largest] > share * variances.sum() and np.count_nonzero(variances) > 1
    return largest if is_alone else None


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
    SuspectedMistakeWarning
        If a column, or several together, have one value for each class, for too many rows to be
        chance. Names them.
    """
    X, (classes, targets) = subsample(X), np.unique(subsample(y), return_inverse=True)
    n_rows = np.bincount(targets)
    if len(X) * np.log(len(classes)) < ENOUGH_LOSS or n_rows.min() < 2:
        return
    order, starts = np.argsort(targets), np.cumsum(n_rows) - n_rows
    others = [block.columns for block in distinct_blocks(experts) if block.backbone is None]
    for columns in others:
        values = take_columns(X, columns)[order]
        lowest, highest = (of.reduceat(values, starts) for of in (np.minimum, np.maximum))
        one_value = (lowest == highest).all(axis=0) & (lowest != lowest[0]).any(axis=0)
        telling = _telling(np.flatnonzero(one_value), lowest)
        if len(telling):
            named = listed((_called(columns[place], names) for place in telling), write=str)
            warn(
                f"{named}: one value for each class, and no two classes have the same. If this was "
                "made of the labels, leave it out of X: rows to predict will not have it."
            )
            return


def _telling(places, values):
    """Columns of which one alone, or all together, have a value of its own for each class."""
    for telling in [*places[:, None], places]:
        if len(telling) and len(np.unique(values[:, telling], axis=0)) == len(values):
            return telling
    return []


def _called(column, names):
    return f"Column {column}" if names is None else f"Column {names[column]!r}"


def _by_block(experts):
    """Pairs of a block and its experts. Joined blocks have one name, of whichever blocks."""
    groups = {}
    for expert in experts:
        groups.setdefault((expert.block.name, len(expert.block.columns)), []).append(expert)
    return [(of_block[0].block, of_block) for of_block in groups.values()]


def warn_of_nameless(experts, y):
    """Warn where heads that start from names were left out."""
    embeddings = [block.name for block in distinct_blocks(experts) if block.has_text]
    if embeddings:
        warn(
            f"A label such as {y.tolist()[0]!r} does not say what its class is, so "
            f"{embeddings[0]!r} gets only heads that need no names. Give class_names to use the "
            f"text tower, or head='linear' to choose this. {NUMBERED}, and some do so in a part of "
            "their fits: class_names=sorted(set(y)) makes all of these alike."
        )


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
    SuspectedMistakeWarning
        If no block is a backbone's, and columns are components, as of a BlockPCA or a PCA, or
        there are as many as a backbone gives: without names, or with names that differ by a number.
    """
    if any(block.backbone for block in blocks):
        return
    reduced = [] if names is None else [name for name in names if _REDUCED.search(name)]
    if reduced:
        warn(
            f"X has columns such as {reduced[0]!r}, which were made of others, and they are "
            f"in one block that {so}. Give the embeddings themselves. If this is meant, {_SAY_SO}"
        )
        return
    said = _many_alike(1 + max(block.columns.max() for block in blocks), names)
    if said is None:
        return
    warn(
        f"{said} that {so}. If they are embeddings, name what made them, such "
        "as blocks='zoo', or give a frame with the embedder's names: set_output("
        f"transform='pandas') of the embedder or the ColumnTransformer. If not, {_SAY_SO}"
    )


def _many_alike(n_features, names):
    """What to say of as many columns as a backbone gives, without names or with alike ones."""
    if names is None and n_features >= NARROWEST:
        return f"X has no names of columns, so its {n_features} columns are one block"
    stems = [re.sub(r"\d+", "#", name) for name in ([] if names is None else names)]
    stem, n_columns = Counter(stems).most_common(1)[0] if stems else ("", 0)
    if n_columns < NARROWEST:
        return None
    return (
        f"X has {n_columns} columns such as {names[stems.index(stem)]!r}, which no embedder names "
        "so, and they are in one block"
    )
