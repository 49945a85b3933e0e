"""Few-shot splits: k labelled samples of each class for training."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import BaseShuffleSplit
from sklearn.utils import check_random_state, check_scalar, indexable

from .._utils._folds import codes_of
from .._utils._labels import check_classes, column_of_labels, refuse_unlabeled
from .._utils._messages import listed
from .._utils._sample_arguments import warn_of_other_order
from .._utils._warnings import warn
from .._utils._weights_and_groups import check_groups


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

    Raises
    ------
    ValueError
        If `n_shots` or `n_splits` is less than 1.

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

    With `groups`, no group is on both sides. The training samples of a class are from up to half of
    its groups, drawn at random, and from more only if these have fewer than `n_shots`. Other
    samples of training groups are in neither set.

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

    __metadata_request__split = {"groups": True}  # like scikit-learn's group splitters

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
            The samples. Only their number is used, so ``np.zeros(n_samples)`` is enough.
        y : array-like of shape (n_samples,)
            Class labels of any type, one for each sample.
        groups : array-like of shape (n_samples,), default=None
            Samples that belong together, such as pictures of one object. None: each is a group.

        Returns
        -------
        splits : iterator of (train, test)
            `n_splits` pairs of integer arrays with sorted indices, which together contain every
            sample once, except the other samples of training groups.

        Raises
        ------
        ValueError
            If `y` is not one class label per sample, a sample has no label, a class has a single
            member or group, or groups leave no sample to test a class.

        Warns
        -----
        UserWarning
            If a class has too few members to train on `n_shots` of them and test on others.
        SuspectedMistakeWarning
            If X, `y` and `groups` have the same index in different orders.
        """
        warn_of_other_order(X, y=y, groups=groups)
        _, y = indexable(X, y)
        refuse_unlabeled(y)
        y = column_of_labels(y, warn=True)
        if not len(y):
            raise ValueError("y is empty.")
        check_classes(y)
        classes, y_index = np.unique(y, return_inverse=True)
        groups = check_groups(groups, len(y_index))
        groups = np.arange(len(y_index)) if groups is None else codes_of(groups)
        # Rows of one class and one group.
        parts = codes_of(y_index * (groups.max() + 1) + groups)
        self._check_sizes(classes, y_index, parts)
        return self._draw(classes, y_index, groups, parts)

    def _check_sizes(self, classes, y_index, parts):
        """Raise ValueError if a class cannot be on both sides; warn if it has too few rows."""
        n_rows = np.bincount(y_index)
        if np.any(n_rows == 1):
            raise ValueError(
                "A class needs one sample for training and one for testing, but these have a "
                f"single member: {classes[n_rows == 1].tolist()}."
            )
        _, one_of, sizes = np.unique(parts, return_index=True, return_counts=True)
        of_class = y_index[one_of]
        n_groups = np.bincount(of_class)
        if np.any(n_groups == 1):
            raise ValueError(
                "A class needs one group for training and one for testing, but all rows of these "
                f"are in one group: {listed(classes[n_groups == 1].tolist())}."
            )
        largest = np.zeros(len(classes), int)
        np.maximum.at(largest, of_class, sizes)
        few = n_rows - largest < self.n_shots
        if np.any(few):
            kept = "one sample is" if len(of_class) == len(y_index) else "the rows of one group are"
            warn(
                f"With n_shots={self.n_shots}, {kept} kept for testing and the others train in the "
                f"classes with too few members: {classes[few].tolist()}.",
                UserWarning,
            )

    def _draw(self, classes, y_index, groups, parts):
        rng = check_random_state(self.random_state)
        for i in range(self.n_splits):
            # One permutation of all samples, whatever n_shots is, makes the draws nested.
            order = rng.permutation(len(y_index))
            order = _in_turn(np.argsort(order), y_index, parts)
            train = np.sort(order[_numbered(y_index[order]) < self.n_shots])
            test = np.flatnonzero(~np.isin(groups, groups[train]))
            untested = np.setdiff1d(np.arange(len(classes)), y_index[test])
            if len(untested):
                raise ValueError(
                    f"Draw {i}: groups leave no rows to test {listed(classes[untested].tolist())}, "
                    "since all of these are in groups that train. Take fewer shots, or groups of "
                    "rows of one class."
                )
            yield train, test


def _in_turn(place, y_index, parts):
    """Return rows sorted by class: one of each group in turn, first of half of its groups.

    The last group of a class is left out, since it is for testing.
    """
    one_of = np.unique(parts, return_index=True)[1]
    of_class, first = y_index[one_of], np.full(len(one_of), len(place))
    np.minimum.at(first, parts, place)
    n_groups, number = np.bincount(of_class), np.empty_like(first)
    by_class = np.lexsort((first, of_class))
    number[by_class] = _numbered(of_class[by_class])
    stage = np.maximum(number + 1 - np.maximum(n_groups // 2, 1)[of_class], 0)
    by_part, turn = np.lexsort((place, parts)), np.empty_like(place)
    turn[by_part] = _numbered(parts[by_part])
    order = np.lexsort((first[parts], turn, stage[parts], y_index))
    is_last = number == n_groups[of_class] - 1
    return order[~is_last[parts[order]]]


def _numbered(keys):
    """Return the position of each sorted key among its equals, from 0."""
    return np.arange(len(keys)) - np.searchsorted(keys, keys)
