"""Checks that custom heads and routers meet the requirements of an ensemble.

Call them in a test, like those of :mod:`sklearn.utils.estimator_checks`. The package's own routers
and heads are tested with them.
"""

import copy
import inspect
import pickle
import sys
import warnings
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.utils.estimator_checks import set_random_state
from sklearn.utils.validation import has_fit_parameter

from ..backbones import Backbone
from ..ensemble import AdaptiveBackboneEnsemble
from ..ensemble.routers import combine, is_fixed
from ..exceptions import SuspectedMistakeWarning

__all__ = ["check_head", "check_router"]


def check_router(router):
    """Check that a router meets the requirements of an ensemble.

    A router has ``fit(X, logits, y)`` and ``combine(X, logits)``, or ``weights(X, logits)`` instead
    of ``combine``; see :mod:`skclipens.ensemble`. It need not be a scikit-learn estimator.

    Parameters
    ----------
    router : object
        A router that is not fitted. It is copied, not changed.

    Raises
    ------
    AssertionError
        If the router does not meet a requirement. The message says which.

    See Also
    --------
    check_head : The same for heads.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.utils.estimator_checks import check_router
    >>> class LastExpert:
    ...     def fit(self, X, logits, y):
    ...         return self
    ...     def combine(self, X, logits):
    ...         return logits[:, -1]
    >>> check_router(LastExpert())
    """
    _demand_instance(router)
    _run(_ROUTER_CHECKS, router)


def check_head(head):
    """Check that a head meets the requirements of an ensemble.

    A head is a classifier: ``fit(X, y)`` sets ``classes_``, and ``decision_function`` or
    ``predict_proba`` gives one score per class. It may have ``cross_fit(X, y, folds=None)``, which
    fits it and returns held-out logits of shape (n, C), and a mask of shape (n,) of the rows by
    which the head can be validated.

    Parameters
    ----------
    head : classifier
        A head that is not fitted. It is cloned, not changed. A head that starts from prompts needs
        its backbone.

    Raises
    ------
    AssertionError
        If the head does not meet a requirement. The message says which.

    See Also
    --------
    check_router : The same for routers.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skclipens.utils.estimator_checks import check_head
    >>> check_head(LogisticRegression())
    """
    _demand_instance(head)
    _demand(hasattr(head, "fit"), head, "have fit(X, y)")
    _demand(hasattr(head, "get_params"), head, "have get_params, as of a BaseEstimator")
    has_scores = hasattr(head, "decision_function") or hasattr(head, "predict_proba")
    _demand(has_scores, head, "have decision_function or predict_proba")
    _run(_HEAD_CHECKS, head)


def _run(checks, estimator):
    """Run checks, a dict from each to what fails if it raises another error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuspectedMistakeWarning)  # of made-up rows
        for check, what in checks.items():
            copied = _demand_result(partial(_copied, estimator), estimator, "be cloned or copied")
            _demand_result(partial(check, copied), estimator, what)


def _copied(estimator):
    """Return a copy with a fixed random state."""
    estimator = clone(estimator, safe=False)
    if hasattr(estimator, "get_params"):
        set_random_state(estimator, 0)
    return estimator


def _can_be_imported(estimator):
    """Return whether pickle can find the class; not if it is defined in a function or a doctest."""
    kind = type(estimator)
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def _demand(fulfilled, estimator, what):
    if not fulfilled:
        raise AssertionError(f"{type(estimator).__name__} must {what}.")


def _demand_instance(estimator):
    if isinstance(estimator, type):
        name = estimator.__name__
        raise AssertionError(f"{name} must be an instance, not a class: add (), as {name}().")


def _demand_result(call, estimator, what):
    """Return the result of a call; if it fails, say what must work."""
    try:
        return call()
    except AssertionError:
        raise
    except Exception as error:
        what = f"{what}; {type(error).__name__}: {error}"
        raise AssertionError(f"{type(estimator).__name__} must {what}") from error


def _rows(n, n_classes):
    each = ", one row of each, as in a few-shot set" * (n == n_classes)
    return f"{n} rows of {n_classes} classes{each}"


# Routers


def _problem(n=60, n_experts=3, n_classes=4, dtype=np.float64):
    """Return a table, logits and labels. Each expert is right on some of the rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6))
    y = np.arange(n) % n_classes
    logits = rng.normal(size=(n, n_experts, n_classes))
    knows = np.arange(n) % n_experts
    logits[np.arange(n), knows, y] += 3
    return X.astype(dtype), logits.astype(dtype), y


def _fitted(router, X, logits, y, **metadata):
    return router if is_fixed(router) else router.fit(X, logits, y, **metadata)


def _check_methods(router):
    has_rule = hasattr(router, "weights") or hasattr(router, "combine")
    _demand(has_rule, router, "have weights(X, logits) or combine(X, logits)")
    if hasattr(router, "fit"):
        _demand(router.fit(*_problem()) is router, router, "return itself from fit")


def _check_shapes(router):
    for n, n_experts, n_classes in [(60, 3, 4), (4, 2, 2), (9, 1, 3), (3, 2, 3)]:
        for dtype in (np.float32, np.float64):
            X, logits, y = _problem(n, n_experts, n_classes, dtype)
            fit = partial(_fitted, _copied(router), X, logits, y)
            fitted = _demand_result(fit, router, f"fit {_rows(n, n_classes)}")
            for rows in (slice(None), slice(1)):
                _check_output(fitted, X[rows], logits[rows])


def _check_output(router, X, logits):
    n, n_experts, n_classes = logits.shape
    asked = {"weights": (n, n_experts), "combine": (n, n_classes)}
    for method, shape in asked.items():
        if hasattr(router, method):
            values = np.asarray(getattr(router, method)(X, logits))
            _demand(values.shape == shape, router, f"give {method} of shape {shape}")
            _demand(np.isfinite(values).all(), router, f"give finite {method}")


def _check_rows_are_apart(router):
    X, logits, y = _problem()
    fitted = _fitted(router, X, logits, y)
    whole, rows = combine(fitted, X, logits), [5, 3, 40]
    alike = np.allclose(combine(fitted, X[rows], logits[rows]), whole[rows], atol=1e-6)
    _demand(alike, router, "combine each row without regard to the other rows")


def _check_input_is_kept(router):
    given = _problem()
    before = copy.deepcopy(given)
    fitted = _fitted(router, *given)
    for method in ("weights", "combine"):
        if hasattr(fitted, method):
            getattr(fitted, method)(*given[:2])
    kept = all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
    _demand(kept, router, "leave X, logits and y as they are")


def _check_repeats(router):
    X, logits, y = _problem()
    first, again = _fitted(_copied(router), X, logits, y), _copied(router)
    _fitted(again, *_problem(30, 3, 4))  # what an earlier fit left must not matter
    again = _fitted(again, X, logits, y)
    expected = combine(first, X, logits)
    alike = np.allclose(combine(again, X, logits), expected, atol=1e-6)
    _demand(alike, router, "give the same when it is fitted again with the same random_state")
    if _can_be_imported(router):
        stored = pickle.loads(pickle.dumps(first))
        alike = np.allclose(combine(stored, X, logits), expected, atol=1e-6)
        _demand(alike, router, "survive pickling")


def _check_weights_of_rows(router):
    if is_fixed(router) or not has_fit_parameter(router, "sample_weight"):
        return
    X, logits, y = _problem()
    plain = combine(_fitted(_copied(router), X, logits, y), X, logits)
    weighted = _fitted(_copied(router), X, logits, y, sample_weight=np.full(len(y), 2.0))
    weighted = combine(weighted, X, logits)
    _demand(np.isfinite(weighted).all(), router, "give finite values with sample_weight")
    ones = combine(_fitted(_copied(router), X, logits, y, sample_weight=np.ones(len(y))), X, logits)
    alike = np.allclose(ones, plain, atol=1e-4)
    _demand(alike, router, "take weights of 1 for no weights")


def _check_parameters(router):
    for name in getattr(router, "_parameter_constraints", {}):
        wrong = _copied(router).set_params(**{name: object()})
        try:
            wrong.fit(*_problem())
        except (ValueError, TypeError) as error:
            _demand(name in str(error), router, f"name {name} in the error for a wrong value")
        else:
            _demand(False, router, f"refuse an object() as {name}")


def _check_router_in_ensemble(router):
    _, logits, y = _problem()
    table = logits.reshape(len(logits), -1)
    blocks = [(f"expert {e}", slice(4 * e, 4 * e + 4)) for e in range(3)]
    clf = AdaptiveBackboneEnsemble(blocks, head="linear", router=router, cv=3, random_state=0)
    for rows in (slice(None), slice(4)):  # the second: one row per class
        proba = clone(clf).fit(table[rows], y[rows]).predict_proba(table)
        _demand(np.allclose(proba.sum(axis=1), 1), router, "give logits that make probabilities")


_ROUTER_CHECKS = {
    _check_methods: "fit 60 rows of 4 classes",
    _check_input_is_kept: "combine logits of 60 rows, 3 experts and 4 classes",
    _check_shapes: "combine logits of any number of rows, experts and classes",
    _check_rows_are_apart: "combine some of the rows",
    _check_repeats: "be fitted again, and be pickled",
    _check_weights_of_rows: "take sample_weight in fit",
    _check_parameters: "raise ValueError or TypeError for a wrong parameter",
    _check_router_in_ensemble: "work in an AdaptiveBackboneEnsemble",
}


# Heads


def _table(head, n=40, n_classes=4, dtype=np.float64):
    """Return a table with a cluster for each class, and labels that could be used in a prompt."""
    backbone = head.get_params().get("backbone")
    width = 8 if backbone is None else Backbone(backbone).width
    rng = np.random.default_rng(0)
    names = np.array(["cat", "dog", "house", "tree"][:n_classes])
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n_classes, width))[y] + 0.5 * rng.normal(size=(n, width))
    return X.astype(dtype), names[y]


def _scores(head, X):
    """Return one score per class, from decision_function or predict_proba."""
    if hasattr(head, "decision_function"):
        return np.asarray(head.decision_function(X))
    return np.asarray(head.predict_proba(X))


def _check_head_keeps_input(head):
    given = _table(head)
    before = copy.deepcopy(given)
    _scores(_copied(head).fit(*given), given[0])
    kept = all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
    _demand(kept, head, "leave X and y as they are")


def _check_head_fits(head):
    for n, n_classes in [(40, 4), (20, 2), (4, 4)]:
        for dtype in (np.float32, np.float64):
            X, y = _table(head, n, n_classes, dtype)
            fitted = _copied(head)
            rows = _rows(n, n_classes)
            returned = _demand_result(partial(fitted.fit, X, y), head, f"fit {rows}")
            _demand(returned is fitted, head, "return itself from fit")
            known = np.array_equal(getattr(fitted, "classes_", ()), np.unique(y))
            _demand(known, head, "set classes_ to the sorted labels")
            for table in (X, X[:1]):
                score, n_rows = partial(_scores, fitted, table), len(table)
                scores = _demand_result(score, head, f"score rows after a fit on {rows}")
                shapes = [(n_rows, n_classes)] + [(n_rows,)] * (n_classes == 2)
                _demand(scores.shape in shapes, head, f"give scores of shape {shapes[0]}")
                _demand(np.isfinite(scores).all(), head, "give finite scores")


def _check_head_repeats(head):
    X, y = _table(head)
    first, again = _copied(head).fit(X, y), _copied(head)
    expected = _scores(first, X)
    again.fit(*_table(head, 8, 2))  # what an earlier fit left must not matter
    alike = np.allclose(_scores(again.fit(X, y), X), expected, atol=1e-5)
    _demand(alike, head, "give the same when it is fitted again with the same random_state")
    rows = [7, 2, 30]
    alike = np.allclose(_scores(first, X[rows]), expected[rows], atol=1e-5)
    _demand(alike, head, "score each row without regard to the other rows")
    if _can_be_imported(head):
        stored = pickle.loads(pickle.dumps(first))
        alike = np.allclose(_scores(stored, X), expected, atol=1e-5)
        _demand(alike, head, "survive pickling")


def _check_head_weights_of_rows(head):
    if not has_fit_parameter(head, "sample_weight"):
        return
    X, y = _table(head)
    expected = _scores(_copied(head).fit(X, y), X)
    ones = _scores(_copied(head).fit(X, y, sample_weight=np.ones(len(y))), X)
    alike = np.allclose(ones, expected, atol=1e-3) or _draws(head, X, y, expected)
    _demand(alike, head, "take weights of 1 for no weights")


def _draws(head, X, y, expected):
    """Return whether scores depend on the random state; then weights may draw other rows."""
    other = clone(head)
    set_random_state(other, 1)
    return not np.allclose(_scores(other.fit(X, y), X), expected, atol=1e-3)


def _check_cross_fit(head):
    if not hasattr(head, "cross_fit"):
        return
    taken = inspect.signature(head.cross_fit).parameters
    _demand("folds" in taken, head, "take folds in cross_fit")
    X, y = _table(head)
    halves = np.arange(0, 20), np.arange(20, 40)
    for folds in (None, [halves, halves[::-1]]):
        fitted = _copied(head)
        found = fitted.cross_fit(X, y, folds=folds)
        is_pair = isinstance(found, (tuple, list)) and len(found) == 2
        _demand(is_pair, head, "return logits and a mask of rows from cross_fit")
        logits, valid = found
        _demand(np.shape(logits) == (40, 4), head, "give one logit per row and class in cross_fit")
        _demand(np.asarray(valid).dtype == bool, head, "say by a mask which rows are held out")
        _demand(np.isfinite(np.asarray(logits)[valid]).all(), head, "give finite held-out logits")
        _demand(np.isfinite(_scores(fitted, X)).all(), head, "be fitted after cross_fit")
    train, test = halves
    wrong, n_follow = np.append(y[train], y[test][::-1]), []
    for labels in (y, wrong):
        logits, valid = map(np.asarray, _copied(head).cross_fit(X, labels, folds=[halves]))
        rows = test[valid[test]]
        n_follow.append(np.sum(np.unique(y)[logits[rows].argmax(axis=1)] == wrong[rows]))
    message = "give held-out logits that do not follow the labels of the rows that are held out"
    # Some follow by chance, where settings that are chosen on all rows change.
    _demand(n_follow[1] <= n_follow[0] + 0.75 * len(test), head, message)


def _check_head_in_ensemble(head):
    X, y = _table(head)
    width = X.shape[1]
    name = head.get_params().get("backbone") or "block"
    clf = AdaptiveBackboneEnsemble([(name, slice(width))], head=head, cv=3, random_state=0)
    for rows in (slice(None), slice(4)):
        proba = clone(clf).fit(X[rows], y[rows]).predict_proba(X)
        _demand(np.allclose(proba.sum(axis=1), 1), head, "give scores that make probabilities")


_HEAD_CHECKS = {
    _check_head_keeps_input: "fit and score 40 rows of 4 classes",
    _check_head_fits: "fit and score rows",
    _check_head_repeats: "be fitted again, score some of the rows, and be pickled",
    _check_head_weights_of_rows: "take sample_weight in fit",
    _check_cross_fit: "work in cross_fit, with and without folds",
    _check_head_in_ensemble: "work in an AdaptiveBackboneEnsemble",
}
