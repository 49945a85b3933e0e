"""Splitting data as few-shot learning does: k labelled samples of each class for training."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import BaseShuffleSplit
from sklearn.utils import check_random_state, check_scalar, column_or_1d, indexable
from sklearn.utils.multiclass import type_of_target

from .._utils._validation import refuse_unlabeled
from .._utils._warnings import warn


class FewShotSplit(BaseShuffleSplit):
    """Few-shot cross-validator: train on `n_shots` samples of each class, test on the others.

    This is the k-shot protocol of few-shot classification [1]_, repeated with new draws. It can
    be the `cv` of scikit-learn's tools, such as
    :func:`~sklearn.model_selection.cross_val_score` and
    :class:`~sklearn.model_selection.GridSearchCV`.

    Parameters
    ----------
    n_shots : int, default=1
        Number of training samples of each class, at least 1.
    n_splits : int, default=10
        Number of draws, at least 1.
    random_state : int, RandomState instance or None, default=None
        Controls which samples are drawn. Pass an int for the same draws across multiple calls
        of ``split``. See :term:`Glossary <random_state>`.

    See Also
    --------
    sklearn.model_selection.StratifiedShuffleSplit : Draws in proportion to class frequencies.

    Notes
    -----
    Draws are nested. With the same int as `random_state` and the same `y`, the training set of
    a draw is contained in that of the same draw for any larger `n_shots`, so curves over the number
    of shots are paired; and the first draws do not depend on `n_splits`.

    A class with `n_shots` members or fewer keeps one of them for testing and trains on the
    others, with a warning.

    The test set consists of the remaining samples of the same data. If a benchmark has its own test
    set, apply ``split`` to its training part and score on that test set instead.

    References
    ----------
    .. [1] K. Zhou, J. Yang, C. C. Loy and Z. Liu, "Learning to Prompt for Vision-Language
       Models", International Journal of Computer Vision, 2022. https://arxiv.org/abs/2109.01134

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.model_selection import FewShotSplit
    >>> y = np.array(["cat", "dog", "cat", "dog", "cat", "dog"])
    >>> splitter = FewShotSplit(n_shots=1, n_splits=2, random_state=0)
    >>> for train, test in splitter.split(np.zeros((6, 1)), y):
    ...     print(train, y[train], test)
    [2 5] ['cat' 'dog'] [0 1 3 4]
    [1 4] ['dog' 'cat'] [0 2 3 5]
    """

    def __init__(self, n_shots=1, n_splits=10, *, random_state=None):
        check_scalar(n_shots, "n_shots", Integral, min_val=1)
        check_scalar(n_splits, "n_splits", Integral, min_val=1)
        self.n_shots = n_shots
        self.n_splits = n_splits
        self.random_state = random_state

    def split(self, X, y, groups=None):
        """Generate indices to split data into training and test set.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The samples, of which only the number matters: ``np.zeros(n_samples)`` will do.
        y : array-like of shape (n_samples,)
            Class labels of any type, one for each sample.
        groups : array-like of shape (n_samples,), default=None
            Always ignored, exists for API compatibility.

        Returns
        -------
        splits : iterator of (train, test)
            `n_splits` pairs of integer arrays with sorted indices, which together hold every
            sample once.

        Raises
        ------
        ValueError
            If `y` is not one class label per sample, a sample has no label, or a class has a single
            member.

        Warns
        -----
        UserWarning
            If a class has too few members to train on `n_shots` of them and test on another, or
            if `groups` is given.
        """
        if groups is not None:
            warn(f"The groups parameter is ignored by {type(self).__name__}.", UserWarning)
        _, y = indexable(X, y)
        if y is not None:
            refuse_unlabeled(y)
        classes, y_index, class_sizes = np.unique(
            _check_labels(y), return_inverse=True, return_counts=True
        )
        self._check_class_sizes(classes, class_sizes)
        return self._draw(y_index, class_sizes)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of splits, `n_splits`.

        Parameters
        ----------
        X, y, groups : object, default=None
            Always ignored, exist for API compatibility.

        Returns
        -------
        n_splits : int
            The number of pairs that ``split`` gives.
        """
        return self.n_splits

    def _check_class_sizes(self, classes, class_sizes):
        if np.any(class_sizes == 1):
            raise ValueError(
                "A class needs one sample for training and one for testing, but these have a "
                f"single member: {classes[class_sizes == 1].tolist()}."
            )
        if np.any(class_sizes <= self.n_shots):
            warn(
                f"With n_shots={self.n_shots}, one sample is kept for testing and the others "
                "train in the classes with too few members: "
                f"{classes[class_sizes <= self.n_shots].tolist()}.",
                UserWarning,
            )

    def _draw(self, y_index, class_sizes):
        rng = check_random_state(self.random_state)
        n_samples = len(y_index)
        first = np.cumsum(class_sizes) - class_sizes
        n_train = np.minimum(self.n_shots, class_sizes - 1)
        for _ in range(self.n_splits):
            # One permutation of all samples, whatever n_shots is, makes the draws nested.
            order = rng.permutation(n_samples)
            order = order[np.argsort(y_index[order], kind="stable")]
            rank = np.arange(n_samples) - first[y_index[order]]
            in_train = rank < n_train[y_index[order]]
            yield np.sort(order[in_train]), np.sort(order[~in_train])


def _check_labels(y):
    kind = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"y must hold one class label per sample, but it is {kind!r}.")
    y = column_or_1d(y, warn=True)
    if len(y) == 0:
        raise ValueError("y is empty.")
    return y
