"""Transformers of the numbers and words of a table, whatever the type of its missing values."""

from collections.abc import Hashable
from math import isfinite, isinf
from numbers import Number
from reprlib import repr as brief

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .._mistakes._columns import warn_of_index
from .._mistakes._seen_columns import see_columns, warn_of_units
from .._mistakes._table_columns import (
    rarely_given,
    warn_of_classes_without,
    warn_of_codes,
    warn_of_given,
    warn_of_ids,
    warn_of_missing,
    warn_of_new_words,
    warn_of_nothing_given,
    warn_of_outlier,
    warn_of_target,
    warn_of_words,
)
from .._utils._folds import codes_of
from .._utils._missing import is_missing
from .._utils._warnings import silent
from ..backbones._blocks import Block

_NUMBERS = (Number, np.bool_)
_SKIPPED = "Skipping features without any observed values"


class NumberImputer(SimpleImputer):
    """A SimpleImputer of numbers of any type, whose missing values may be of any type.

    It warns of a column that is the same as y, that has no number, or whose numbers are missing in
    ``fit`` or ``transform`` alone, and of numbers such as -999 that stand for missing ones.
    """

    def fit(self, X, y=None):
        X = as_numbers(X)
        warn_of_target(X, y)
        self.n_samples_fit_ = len(X)
        self.always_given_ = [name for name in X if not X[name].isna().any()]
        self.rarely_given_ = rarely_given(X)
        warn_of_classes_without(X, y, "number")
        for name in X:
            warn_of_nothing_given(X[name].isna(), name, "number")
        return super().fit(X)

    def transform(self, X):
        X = as_numbers(X)
        for name in X:
            warn_of_codes(X[name].to_numpy(), name)
        for name in self.always_given_:
            warn_of_missing(X[name].isna(), name, self.n_samples_fit_, self.strategy)
        rare = getattr(self, "rarely_given_", {})  # old models have none
        warn_of_given(X, rare, self.n_samples_fit_, "number")
        with silent(_SKIPPED):  # `fit` has warned
            return super().transform(X)


class NumberScaler(StandardScaler):
    """A StandardScaler that warns of numbers of rows, of outliers, and of another unit later.

    It takes no weights, since metadata routing would ask for a decision on them.
    """

    def fit(self, X, y=None):
        values, names = np.asarray(X), getattr(X, "columns", None)
        is_one = y is not None and np.ndim(y) == 1
        codes = codes_of(np.asarray(y).astype(str)) if is_one else np.zeros(len(values))
        warn_of_index(values, codes, names)
        for name, column in zip(range(len(values.T)) if names is None else names, values.T):
            warn_of_outlier(column, name)
        columns = [Block("numbers", np.array([i]), None) for i in range(values.shape[1])]
        self.seen_columns_ = see_columns(columns, values)
        return super().fit(X)

    def transform(self, X):
        warn_of_units(self.seen_columns_, np.asarray(X), getattr(self, "feature_names_in_", None))
        return super().transform(X)


class WordEncoder(OneHotEncoder):
    """A OneHotEncoder of words of any type, whose missing values may be of any type.

    It warns of a column that is the same as y or that knows it, of words that nearly all differ or
    that differ only in case or blanks, of those that ``fit`` has not seen, and of a column that
    mostly lacked words there.
    """

    def fit(self, X, y=None):
        X = as_words(X)
        warn_of_target(X, y)
        warn_of_classes_without(X, y, "word")
        for name in X:
            warn_of_nothing_given(X[name].isna(), name, "word")
            warn_of_words(X[name].tolist(), name)
            warn_of_ids(X[name].tolist(), y, name)
        self.n_samples_fit_ = len(X)
        self.rarely_given_ = rarely_given(X)
        return super().fit(X)

    def transform(self, X):
        known = {
            name: set(of.tolist()) for name, of in zip(X.columns, self.categories_, strict=True)
        }
        X = as_words(X, known)
        for name in X:
            warn_of_new_words(X[name].tolist(), known[name], name)
        rare = getattr(self, "rarely_given_", {})  # old models have none
        warn_of_given(X, rare, getattr(self, "n_samples_fit_", 0), "word")
        return super().transform(X)

    def get_feature_names_out(self, input_features=None):
        """Return distinct names, also for a missing value beside the word "None"."""
        names = {}
        for name in super().get_feature_names_out(input_features):
            while name in names:
                name += "_"
            names[name] = None
        return np.array([*names], dtype=object)


def as_numbers(X):
    """Return the columns of a DataFrame as floats, with NaN for missing values.

    Raises
    ------
    ValueError
        If a value is no number, or infinite; names the column and the row.
    """
    return _converted(
        X, lambda values, name: [_number(v, name, i) for i, v in enumerate(values)], np.float64
    )


def as_words(X, known=None):
    """Return the columns of a DataFrame as objects, with None for missing values.

    Numbers and flags are written as text if this is `known`, a dict of the words of each column, as
    in a file without types.

    Raises
    ------
    ValueError
        If a column mixes types, or has values that can be no words; names the column and the row.
    """
    known = {} if known is None else known
    return _converted(
        X,
        lambda values, name: [_spelled(v, known.get(name, ())) for v in _words(values, name)],
        object,
    )


def _converted(X, convert, dtype):
    import pandas as pd

    columns = {name: convert(X[name].to_list(), name) for name in X.columns}
    return pd.DataFrame(columns, index=getattr(X, "index", None), dtype=dtype)


def _number(value, name, row):
    if is_missing(value):
        return np.nan
    if isinstance(value, _NUMBERS):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = np.inf
        if not isinf(number):
            return number
        hint = "It must be real and finite; write a missing one as NaN."
    elif isinstance(value, str) and _is_number(value):
        hint = (
            f"It is text: make numbers of the column, as pandas.to_numeric(table[{name!r}]) does, "
            "or name it among the categories."
        )
    elif isinstance(value, str):
        hint = "Write numbers with a decimal point alone, or name the column among the categories."
    else:
        hint = "Give columns such as dates to transformers, which make numbers of them."
    said = f"Column {name!r} has {brief(value)} in row {row}, where a number is needed"
    raise ValueError(f"{said}. {hint}")


def _is_number(text):
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _words(values, name):
    words, first = [None if is_missing(value) else value for value in values], {}
    for row, word in enumerate(words):
        if word is not None and (kind := _kind(word)) not in first:
            first[kind] = f"{brief(word)} in row {row}"
    if None in first:
        raise ValueError(f"Column {name!r} has {first[None]}, where a word is needed.")
    if len(first) > 1:
        raise ValueError(
            f"Column {name!r} mixes types: {' and '.join(first.values())}. Its words are all "
            f"strings or all numbers: table[{name!r}].astype(str) makes them strings."
        )
    return words


def _spelled(word, known):
    if word is None or isinstance(word, str) or word in known:
        return word
    text = str(word)
    ways = (text, text.removesuffix(".0"), f"{text}.0", text.upper(), text.lower())
    return next((way for way in ways if way in known), word)


def _kind(word):
    """Return the type of a word, of which a column has one; None if it can be no word."""
    if isinstance(word, (str, *_NUMBERS)):
        return str if isinstance(word, str) else Number
    return type(word) if isinstance(word, Hashable) else None
