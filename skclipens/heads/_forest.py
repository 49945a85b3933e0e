"""A forest of trees, for numbers and categories beside pictures."""

from copy import copy
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.tree import ExtraTreeClassifier
from sklearn.utils import check_random_state

from .._mistakes._rows import labels_of_a_picture
from .._utils._copies import groups_of_copies
from .._utils._docstrings import fill_doc
from .._utils._labels import allow_few_rows_per_class
from .._utils._linalg import offsets_of, parts_of, some_of
from .._utils._random import draw_seed
from .._utils._sklearn import Interval, RealNotInt, StrOptions
from ._cross_fit import CrossFitTableHead, default_folds

_SMOOTHING = 0.1  # weight of equal probabilities, beside 1 for those of the trees
_MOST_BYTES = 3e7  # of all trees
_BYTES_OF_NODE, _BYTES_OF_CLASS = 24, 4  # each leaf has values of the classes
_TIMES_AS_COMMON = 20  # as the median number of equal rows
_SMALL_SPREAD, _ROUNDING = 1e-3, 1e3  # of a column; times the precision of its largest value
_LARGEST_POWER = 60  # of two, so that rows to predict may be far from those of fit
_FEWEST_VALUES = 8  # of a column of numbers; categories have fewer
_PATHS_AT_ONCE = 2**13  # of rows through trees: few, so that they fit in the cache


@fill_doc
class ForestHead(CrossFitTableHead):
    r"""Classify by extremely randomised trees, for columns of numbers and categories.

    A linear head adds up what each column says. Trees [1]_ also use steps and combinations, such as
    a price that is either low or high, and need no scaling. On embeddings they are worse than the
    other heads. They are those of :class:`sklearn.ensemble.ExtraTreesClassifier`; with p the mean
    of their probabilities, the logits are :math:`\log(p + 0.1 / C)`, so that a class that no tree
    votes for is unlikely but possible.

    Parameters
    ----------
    n_estimators : int, default=100
        Number of trees.
    max_features : {"sqrt", "log2"}, int, float or None, default="sqrt"
        Number of columns that each split chooses from; see
        :class:`sklearn.ensemble.ExtraTreesClassifier`.
    random_state : int, RandomState instance or None, default=None
        Controls the randomness of the trees. An ensemble passes its own.

    Attributes
    ----------
    %(classes)s
    trees_ : Trees
        The nodes of all trees, as arrays: ``roots``, ``feature``, ``threshold``, ``children``,
        ``leaf``, ``values`` and ``depth``. Rows up to a node's threshold go to its first child.
        A column of float64 that is more than ten standard deviations from zero is read less its
        mean, and one whose values differ by less than 0.001, but not by rounding alone, times a
        power of two.
    %(table_columns)s

    See Also
    --------
    LinearDiscriminantHead : Adds up what each column says.

    Notes
    -----
    The trees have fewer leaves than rows if they would take more than 30 MB together. Held-out
    logits of ``cross_fit`` come from forests with half as many trees, which are fitted on folds.
    If a column has many values, equal rows of a class are held out together, unless `groups` are
    given: several pictures of one thing may have its price and weight.

    References
    ----------
    .. [1] Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.

    Examples
    --------
    Whether the product of two numbers is positive, which no linear head can tell:

    >>> import numpy as np
    >>> from skclipens.heads import ForestHead
    >>> X = np.random.default_rng(0).normal(size=(400, 2))
    >>> y = X.prod(axis=1) > 0
    >>> clf = ForestHead(random_state=0).fit(X[::2], y[::2])
    >>> print(f"{clf.score(X[1::2], y[1::2]):.2f}")
    0.95
    """

    _minds_scales = False
    _center, _scale = 0, 1
    _parameter_constraints: dict = {
        "n_estimators": [Interval(Integral, 2, None, closed="left")],
        "max_features": [
            StrOptions({"sqrt", "log2"}),
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
        ],
        "random_state": ["random_state"],
    }

    def __init__(self, *, n_estimators=100, max_features="sqrt", random_state=None):
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.random_state = random_state

    def _fit(self, X, targets, weights, folds, groups):
        # Trees read float32, which lacks digits of float64 if a column is far from zero.
        self._center = offsets_of(X) if X.dtype == np.float64 else 0
        self._scale = _scales_of(X)
        self.trees_ = self._grown(self.n_estimators, self._rescaled(X), targets, weights)

    def _rescaled(self, X):
        X = X - self._center if np.any(self._center) else X
        return X if np.all(self._scale == 1) else X * self._scale

    def _cross_fit(self, X, targets, weights, folds, groups):
        self._fit(X, targets, weights, folds, groups)
        X = self._rescaled(X)
        folds = default_folds(targets, groups) if folds is None else folds
        logits = np.zeros((len(X), len(self.classes_)), X.dtype)
        valid = np.zeros(len(X), bool)
        copies = _copies(X, targets) if groups is None else None
        for train, test in folds:
            if copies is not None:
                train = train[~np.isin(copies[train], copies[test])]
                test = test[np.isin(targets[test], targets[train])]
            if not len(test) or np.ptp(targets[train]) == 0:  # nothing to tell apart
                continue
            seen = X[train], targets[train], some_of(weights, train)
            trees = self._grown(self.n_estimators // 2, *seen)
            logits[test], valid[test] = _smoothed(trees.probabilities(X[test])), True
        return logits, valid

    def _grown(self, n_trees, X, targets, weights):
        n_classes = len(self.classes_)
        n_bytes = 2 * _BYTES_OF_NODE + _BYTES_OF_CLASS * n_classes  # of a leaf and another node
        n_leaves = _MOST_BYTES / self.n_estimators / n_bytes
        # An ExtraTreesClassifier takes over twice as long for a hundred rows: it clones each tree,
        # seeds a generator for it, and checks its parameters.
        tree = ExtraTreeClassifier(
            max_features=self.max_features,
            max_leaf_nodes=max(int(n_leaves), 2),
            random_state=check_random_state(draw_seed(self.random_state)),
        )
        X, targets = _as_trees_read(X), targets.astype(np.float64)
        with config_context(skip_parameter_validation=True), allow_few_rows_per_class():
            trees = [copy(tree).fit(X, targets, weights, check_input=False) for _ in range(n_trees)]
        return Trees.of_fitted(trees, n_classes)

    def _logits_of(self, X):
        return _smoothed(self.trees_.probabilities(self._rescaled(X))).astype(X.dtype, copy=False)


def _scales_of(X):
    """Return a power of two for each column: trees see no difference below 1e-7.

    It is 1 for columns that differ enough, or by rounding alone.
    """
    low, high = X.min(axis=0), X.max(axis=0)
    rounding = _ROUNDING * np.finfo(X.dtype).eps * np.maximum(high, -low)
    some = (high - low > rounding) & (high - low < _SMALL_SPREAD)
    power = -np.floor(np.log2(np.where(some, high - low, 1)))
    return np.exp2(np.minimum(power, _LARGEST_POWER)).astype(X.dtype)


def _copies(X, targets):
    """Return the first equal row of the same class for each row; None if none is a copy.

    Several pictures of a thing may have its price and weight, which trees know by heart. Without a
    column of many values, rows of several things are often equal, and none is a copy. Nor is any if
    equal rows often have other labels, or one of far more equal rows than usual, such as zeros of
    what one class alone has.
    """
    most = max(len(np.unique(column)) for column in X.T)
    if most <= max(_FEWEST_VALUES, 2 * (targets.max() + 1)):
        return None
    equal = groups_of_copies(X, fewest=1)
    if equal is None or labels_of_a_picture(equal, targets) == "several":
        return None
    every, copies = np.arange(len(X)), groups_of_copies(X, targets, fewest=1)
    if copies is None:
        return None
    sizes = np.bincount(copies)
    are_common = sizes[copies] > _TIMES_AS_COMMON * np.median(sizes[sizes > 0])
    copies = np.where(are_common, every, copies)
    return None if (copies == every).all() else copies


def _as_trees_read(X):
    """Return rows as float32; raise ValueError if a value is too large for it."""
    with np.errstate(over="ignore"):
        X = np.ascontiguousarray(X, np.float32)
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(
            f"X has a value in row {row}, column {column} that is too large for float32, in which "
            "trees compare numbers. Scale the column."
        )
    return X


def _smoothed(p):
    return np.log(p + _SMOOTHING / p.shape[1])


class Trees(NamedTuple):
    """The nodes of all trees, one tree after the other.

    In arrays, a model needs no trust in compiled trees of a file, and single rows are fast.

    Attributes
    ----------
    roots : ndarray of shape (n_trees,), int
    feature : ndarray of shape (n_nodes,), int
        The column that a node compares.
    threshold : ndarray of shape (n_nodes,)
        Rows up to this value go to the left child.
    children : ndarray of shape (n_nodes, 2), int
        Left and right child. A leaf is its own child.
    leaf : ndarray of shape (n_nodes,), int
        The row of ``values`` of a leaf; 0 for other nodes.
    values : ndarray of shape (n_leaves, C), float32
        Probabilities at the leaves.
    depth : int
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    leaf: np.ndarray
    values: np.ndarray
    depth: int

    @classmethod
    def of_fitted(cls, fitted, n_classes):
        """Return the nodes of trees that are fitted on positions of all classes."""
        trees = [one.tree_ for one in fitted]
        ends = np.cumsum([tree.node_count for tree in trees])
        roots = ends - [tree.node_count for tree in trees]
        feature = np.concatenate([tree.feature for tree in trees])
        own = np.arange(len(feature))
        sides = [
            np.concatenate([side + root for side, root in zip(of_trees, roots, strict=True)])
            for of_trees in zip(*((one.children_left, one.children_right) for one in trees))
        ]
        is_leaf = feature < 0
        values = np.zeros((is_leaf.sum(), n_classes), np.float32)
        known = fitted[0].classes_.astype(int)
        values[:, known] = np.concatenate([tree.value[:, 0] for tree in trees])[is_leaf]
        return cls(
            roots.astype(np.int32),
            np.where(is_leaf, 0, feature).astype(np.int32),
            np.concatenate([tree.threshold for tree in trees]),
            np.where(is_leaf[:, None], own[:, None], np.stack(sides, axis=1)).astype(np.int32),
            np.where(is_leaf, np.cumsum(is_leaf) - 1, 0).astype(np.int32),
            values,
            max(tree.max_depth for tree in trees),
        )

    def probabilities(self, X):
        """Return the mean over trees of the probabilities of rows, (n, C)."""
        X = _as_trees_read(X)
        total = np.zeros((len(X), self.values.shape[1]), np.float32)
        for some in parts_of(len(self.roots), max(1, _PATHS_AT_ONCE // len(X))):
            nodes = self._leaves(X, self.roots[some])
            total += self.values[self.leaf[nodes]].sum(axis=0)
        return total / len(self.roots)

    def _leaves(self, X, roots):
        """Return the leaf of each row in some of the trees, (n_trees, n)."""
        values, first = X.ravel(), np.arange(len(X)) * X.shape[1]
        node = np.repeat(roots[:, None], len(X), axis=1)
        for _ in range(self.depth):
            is_right = values.take(first + self.feature.take(node)) > self.threshold.take(node)
            child = self.children.take(2 * node + is_right)
            if np.array_equal(child, node):
                break
            node = child
        return node
