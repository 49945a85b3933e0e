"""Checks of tables and their labels that several modules share."""

from numbers import Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from ._labels import check_classes, column_of_labels, labels_of, refuse_unlabeled
from ._linalg import precise
from ._missing import without_mask
from ._sample_arguments import warn_of_other_order
from ._sklearn import numpy_only
from ._tables import (
    FLOATS,
    check_range,
    nonfinite_located,
    refuse_images,
    refuse_text,
    refuse_unread,
    warn_of_categories,
)


def check_table(estimator, X, y, *, any_scale=False, reset=True, classes=(), **given):
    """Check a table and its labels in ``fit``.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set.
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,)
    any_scale : bool
        Whether rows are scaled anyway, so that their range does not matter.
    reset : bool
        Whether to store the columns of X; otherwise X must have the stored ones.
    classes : array-like of shape (C,)
        Known labels; see :func:`refuse_unlabeled`.
    **given : array-like of shape (n,) or None
        Other values for each row; see :func:`warn_of_other_order`.

    Returns
    -------
    X : ndarray of shape (n, n_features), float64 or float32
        In float64 if float32 has too few digits; see :func:`precise`.
    y : ndarray of shape (n,)

    Raises
    ------
    ValueError
        If X is not a table of numbers, its squares overflow or underflow, or y does not have one
        label for each row; see :func:`check_labels`.
    """
    if y is not None:
        refuse_unlabeled(y, classes=classes)
    return check_some_labeled(estimator, X, y, any_scale=any_scale, reset=reset, **given)


def check_some_labeled(estimator, X, y, labeled=None, *, any_scale=False, reset=True, **given):
    """Check a table as :func:`check_table` does; of y, return and check the `labeled` rows.

    `labeled` is a mask, or None if all rows have a label. Raise ValueError if X is not a table of
    numbers, or the labels have fewer than two classes.
    """
    if y is None:  # scikit-learn's own error
        validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    warn_of_other_order(X, y=y, **given)
    X = check_rows(estimator, X, reset=reset)
    y = column_of_labels(y, warn=True)
    check_consistent_length(X, y)
    if labeled is not None:
        y = labels_of(y, labeled)
    check_classes(y)
    if not any_scale:
        check_range(X, getattr(estimator, "feature_names_in_", None))
    return precise(X), y


def check_rows(estimator, X, *, reset=False, dtype=FLOATS, **options):
    """Check a table without labels, which must have the columns that the estimator's ``fit`` saw.

    With `reset`, this is ``fit``, and stores the columns. Return it as float64 or float32. Options
    are those of scikit-learn's ``check_array``.
    """
    refuse_unread(X)
    refuse_images(X)
    if reset:
        warn_of_categories(X)
    _check_numbers_of_columns(estimator, X, reset=reset)
    X, options = without_mask(X), {"dtype": dtype, **options}
    values = _values_of_floats(X)
    with nonfinite_located(X), numpy_only():
        if values is None:
            refuse_text(X)
            return validate_data(estimator, X, reset=reset, **options)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return check_array(values, estimator=estimator, input_name="X", **options)


def _check_numbers_of_columns(estimator, X, *, reset):
    """Raise ValueError if columns named by numbers or tuples are in another order than in ``fit``.

    scikit-learn compares only names that are strings.
    """
    columns = getattr(X, "columns", ())
    # The index caches this type. Checking all names would be slow if a single row is predicted.
    names = list(columns) if getattr(columns, "inferred_type", "string") != "string" else None
    if reset:
        vars(estimator).pop("_numbers_of_columns", None)
        if names is not None:
            estimator._numbers_of_columns = names
        return
    known = getattr(estimator, "_numbers_of_columns", None)
    if names is None or known is None or names == known:
        return
    if sorted(map(repr, names)) == sorted(map(repr, known)):
        place = next(i for i, name in enumerate(names) if name != known[i])
        raise ValueError(
            f"X has the columns of fit in another order: column {place} is {names[place]!r}, and "
            f"was {known[place]!r}. Pass them in the order of fit."
        )


def _values_of_floats(X):
    """Return the values of a frame of floats, or None.

    scikit-learn checks the columns of a frame one by one. If there are thousands, this takes longer
    than predicting.
    """
    if not hasattr(X, "columns") or not hasattr(X, "to_numpy"):
        return None
    if isinstance(X.dtypes, list) and any(dtype.is_temporal() for dtype in X.dtypes):
        return None  # polars would convert these to numbers if other columns are numbers
    values = X.to_numpy()
    return values if values.dtype in FLOATS else None


def refuse_class(estimator, name):
    """Raise TypeError if a class is given instead of an estimator."""
    if isinstance(estimator, type):
        kind = estimator.__name__
        raise TypeError(f"{name} is the class {kind}. Make one of it: add (), as {kind}().")


def check_candidates(values, name):
    """Raise ValueError unless the candidates for a parameter are positive numbers, at least one."""
    values = list(values)
    if not values or not all(isinstance(one, Real) and 0 < one < np.inf for one in values):
        raise ValueError(f"{name} are positive, finite numbers, at least one; got {values!r}.")


def check_cost(name, value):
    """Return the cost of a block or backbone as a float; raise ValueError unless it is one."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not 0 <= number < np.inf:
        raise ValueError(
            f"The cost of {name!r} is {value}; it must be a number, finite and at least 0."
        )
    return number
