"""Suggest which pictures to label next."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._utils._class_texts import warn_of_classes
from .._utils._labels import labels_of, unlabeled_rows
from .._utils._probabilities import refuse_nan
from .._utils._row_numbers import fitted_rows
from .._utils._sklearn import Interval, MethodsOfFitted, safe_indexing, validate_params
from .._utils._warnings import each_warning_once
from ..embedding._once import embedded_once
from ..embedding._unreadable import fill_unreadable
from ._held_out import checked_labels
from ._similarity import nearest_cosines, unit_table_to_compare

# How fast the similarity of two rows falls with their cosine: exp(SHARPNESS * (cosine - 1)). Chosen
# from 5, 10 and 20 on validation sets, like the margin as weight: see docs/results/labels.md.
_SHARPNESS = 10.0


@each_warning_once()
@validate_params(
    {
        "estimator": [MethodsOfFitted(["fit", "predict_proba"])],
        "n_suggestions": [Interval(Integral, 1, None, closed="left")],
        "max_rows": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def suggest(estimator, X, y, n_suggestions=10, *, max_rows=5000, random_state=None):
    """Suggest which pictures to label next.

    These are pictures for which the classifier is uncertain, which are similar to many others, and
    which are not similar to those that have a label or were chosen before. They are chosen one
    after the other, each to maximise the sum, over all pictures without a label, of the similarity
    to the nearest labelled or chosen one, weighted by the uncertainty (1 minus the difference of
    the two largest probabilities) [1]_. If a table has columns of embeddings, similarities are of
    these columns. If fewer than two classes have a label, all pictures have the same weight, and no
    classifier is fitted.

    Parameters
    ----------
    estimator : classifier, or pipeline of images that ends in one
        With ``predict_proba``. A clone of it is fitted on the rows that have a label. An embedder
        with ``cache=True`` embeds each image once, however often this is called.
    X : array-like of shape (n_rows, ...)
        What `estimator` is fitted on: embeddings, or images for a pipeline; with a label or not.
    y : array-like of shape (n_rows,)
        Labels; None, NaN or "", or -1 among numbers, for rows without a label.
    n_suggestions : int, default=10
        Number of pictures to choose; fewer if fewer pictures lack a label.
    max_rows : int, default=5000
        If more pictures have no label, a random sample of this size is considered, and embedded:
        the similarities of all its pairs are in memory.
    random_state : int, RandomState instance or None, default=None
        Controls this sample, and nothing else.

    Returns
    -------
    ndarray of shape (n_suggestions,), int
        Positions in X, the most informative first.

    Raises
    ------
    ValueError
        If X and y have different lengths, all rows have a label, the estimator gives NaN as
        probabilities, or an image cannot be read and the embedder has ``on_error="raise"``.

    Warns
    -----
    UserWarning
        If images cannot be read; these are not suggested.

    See Also
    --------
    find_label_issues : Find labels that are probably wrong.

    References
    ----------
    .. [1] Bae, Oliveira and Sutherland, "Uncertainty Herding: One Active Learning Method for All
       Label Budgets", ICLR 2025, with a fixed width of the kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens import make_backbone_pipeline
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.labels import suggest
    >>> emoji = load_emoji(min_class_size=50)
    >>> X, labels = emoji.filenames[::4], emoji.target_names[emoji.target[::4]]
    >>> y = np.where(np.arange(len(X)) % 9 == 0, labels, "")  # every ninth has a label
    >>> clf = make_backbone_pipeline(["zoo/RN20", "zoo/ViT-16"], random_state=0)
    >>> chosen = suggest(clf, X, y, 5)
    >>> len(set(chosen)), bool((y[chosen] == "").all())
    (5, True)
    """
    X, y, _ = checked_labels(X, y)
    labeled = ~unlabeled_rows(y)
    rest = np.flatnonzero(~labeled)
    if not len(rest):
        warn_of_classes(y, none_missing="suggest")  # such as "nan"
        raise ValueError('All rows have a label. One without has None, NaN, "" or -1 in y.')
    rows = np.arange(len(y))
    if len(rest) > max_rows:
        drawn = check_random_state(random_state).choice(len(rest), max_rows, replace=False)
        rows = np.union1d(np.flatnonzero(labeled), rest[drawn])
    _, classifier, X, unreadable = embedded_once(estimator, X, y, rows)
    n_rows, y, labeled = len(y), y[rows], labeled[rows]
    rest, labeled = np.flatnonzero(~labeled & ~unreadable), labeled & ~unreadable
    if not len(rest):
        return rest
    table = fill_unreadable(X, unreadable) if unreadable.any() else X
    _, unit = unit_table_to_compare(table, classifier, centre=True)
    uncertainty = np.ones(len(rest))
    if len(set(y[labeled].tolist())) > 1:
        with fitted_rows(rows[labeled], n_rows):
            classifier = clone(classifier).fit(safe_indexing(X, labeled), labels_of(y, labeled))
        proba = np.asarray(classifier.predict_proba(safe_indexing(X, rest)), dtype=float)
        refuse_nan(proba, rows[rest])
        uncertainty = _uncertainty(proba)
    chosen = _greedy_cover(unit[rest], unit[labeled], uncertainty, min(n_suggestions, len(rest)))
    return rows[rest[chosen]]


def _uncertainty(proba):
    """Return 1 minus the difference of the two largest probabilities, at least 0.001."""
    second, first = np.partition(proba, -2, axis=1)[:, -2:].T
    return np.maximum(1 - (first - second), 1e-3)


def _greedy_cover(rows, labeled, weights, n):
    """Return the positions of n rows, each chosen to cover the most of the remaining weight."""
    similarity = np.exp(_SHARPNESS * (rows @ rows.T - 1))
    covered = np.zeros(len(rows), similarity.dtype)
    if len(labeled):
        covered = np.exp(_SHARPNESS * (nearest_cosines(rows, labeled) - 1))
    weights, chosen = weights.astype(similarity.dtype), []
    for _ in range(n):
        gains = weights @ np.maximum(similarity - covered[:, None], 0)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        np.maximum(covered, similarity[chosen[-1]], out=covered)
    return np.array(chosen)
