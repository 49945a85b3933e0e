"""Warnings of columns of numbers and words beside pictures, and of what they can hardly mean."""

from collections import Counter
from reprlib import repr as brief

import numpy as np
from scipy.special import gammaln
from scipy.stats import hypergeom

from .._utils._class_texts import alike, written_apart
from .._utils._labels import unlabeled_rows
from .._utils._messages import listed
from .._utils._row_numbers import user_rows
from .._utils._warnings import warn
from ..exceptions import SuspectedMistakeWarning
from ._columns import NO_CHANCE

_FEWEST, _NEARLY_ALL = 20, 0.9  # rows, and a share of them
_FEWEST_TO_PREDICT = 3  # rows of which most that lack a value, or have a new one, are no accident
_BY_CHANCE = 0.01  # a probability
_BY_CHANCE_OF_ALL = 1e-4  # of a call with any number of columns, of which there are many
_BY_INDEX = " pandas joins rows by their index."
_MOST_VARIANCE = 0.99
_FAR = 10  # times the largest of the other numbers


def warn_of_target(X, y):
    """Warn of a column that is the same as y, where y is given."""
    target = _given(y)
    for name in X if target else ():
        values = X[name].tolist()
        if all(values[row] == one for row, one in target.items()):
            warn(
                f"Column {name!r} is the same as y, which is to be predicted from it. Leave it "
                "out: rows to predict will not have it."
            )


def warn_of_missing(missing, name, n_rows_of_fit, strategy):
    """Warn of missing numbers of a column that had all in ``fit``, unless that is by chance."""
    n_missing, n = np.count_nonzero(missing), len(missing)
    if not n_missing:
        return
    first = user_rows(np.argmax(missing), n)
    chance = (n / (n + n_rows_of_fit)) ** n_missing  # that all are among these rows
    if n_missing == n or chance < _BY_CHANCE:
        category = SuspectedMistakeWarning if n >= _FEWEST_TO_PREDICT else UserWarning
        warn(
            f"Column {name!r} has no number in {n_missing} of {n} rows, first in row {first}, "
            f"and had one in all rows of fit. The {strategy} of these is taken instead.",
            category,
        )


def warn_of_nothing_given(missing, name, kind):
    """Warn of a column without any number, or word, in ``fit``."""
    if len(missing) and missing.all():
        warn(
            f"Column {name!r} has no {kind} in any row. Leave it out, or check how its table was "
            f"joined.{_BY_INDEX}",
            SuspectedMistakeWarning if len(missing) >= _FEWEST else UserWarning,
        )


def warn_of_classes_without(X, y, kind):
    """Warn of columns that lack a value in all rows of some classes and in no other row.

    As after a join with a table that lacks a class; also where they lack one in all labelled rows.
    """
    labels, alike_columns = _given(y), {}
    classes = sorted({*labels.values()}, key=str)
    codes = [*map({one: code for code, one in enumerate(classes)}.get, labels.values())]
    n, sizes = len(labels), np.bincount(codes, minlength=len(classes)) if labels else 0
    for name in X if labels else ():
        missing = X[name].isna().to_numpy()
        lacking = np.bincount(codes, missing[[*labels]], len(classes)).astype(int)
        if missing.all() or not lacking.any() or ((lacking > 0) & (lacking < sizes)).any():
            continue
        if (lacking == sizes).all():
            chance = hypergeom.logsf(n - 1, len(X), missing.sum(), n)
        else:  # of the ways to choose as many rows, this is one of those that choose whole classes
            chance = len(classes) * np.log(2) - _log_ways(n, lacking.sum())
        if chance < np.log(_BY_CHANCE_OF_ALL / X.shape[1]):
            alike_columns.setdefault(tuple(lacking), []).append(name)
    for lacking, names in alike_columns.items():
        have = f"Columns {listed(names)} have" if len(names) > 1 else f"Column {names[0]!r} has"
        if sum(lacking) == n:
            warn(
                f"{have} no {kind} in any of the {n} rows with a label, so nothing is learned of "
                f"it. Leave it out, or check how its table was joined.{_BY_INDEX}"
            )
            continue
        of_classes = listed([one for one, some in zip(classes, lacking) if some])
        warn(
            f"{have} no {kind} in any of the {sum(lacking)} rows of {of_classes}, and one in all "
            "others, so that a missing one tells the class. If new rows of these classes may have "
            f"one, leave it out, or check how its table was joined.{_BY_INDEX}"
        )


def _log_ways(n, n_chosen):
    return gammaln(n + 1) - gammaln(n_chosen + 1) - gammaln(n - n_chosen + 1)


def rarely_given(X):
    """Return how many rows have a value, by column that mostly lacks them, but not in all rows."""
    given = {name: int(X[name].notna().sum()) for name in X}
    return {name: n for name, n in given.items() if 0 < n < len(X) / 2}


def warn_of_given(X, rare, n_rows_of_fit, kind):
    """Warn of a column that is `rarely_given` in ``fit`` and has nearly all values now."""
    n = len(X)
    if n < _FEWEST_TO_PREDICT:
        return
    for name, n_given in rare.items():
        n_missing = int(X[name].isna().sum())
        if n_missing > (1 - _NEARLY_ALL) * n:
            continue
        # The chance that so few of the rows that lack a value are among these.
        both = n_rows_of_fit + n, n_rows_of_fit - n_given + n_missing
        if hypergeom.cdf(n_missing, *both, n) < _BY_CHANCE_OF_ALL / len(rare):
            warn(
                f"Column {name!r} has a {kind} in {n - n_missing} of {n} rows, and had one in only "
                f"{n_given} of {n_rows_of_fit} rows of fit. If those rows should have had one, "
                f"too, check how their table was joined.{_BY_INDEX}"
            )


def warn_of_codes(values, name):
    """Warn of a number of nines, far from the others, as tables have where a number is missing."""
    given = np.unique(values[~np.isnan(values)])
    for code, others in ((given[:1], given[1:]), (given[-1:], given[:-1])):
        if not len(others) or others[0] < 0 or set(f"{abs(code[0]):.15g}") != {"9"}:
            continue
        if code[0] <= -99 or code[0] > max(_FAR * others[-1], 99):
            rows = np.flatnonzero(values == code)
            first = user_rows(rows[0], len(values))
            warn(
                f"Column {name!r} has {code[0]:.15g} in {len(rows)} of {len(values)} rows, first "
                f"in row {first}, and otherwise numbers from {others[0]:g} to {others[-1]:g}. If "
                "it stands for a missing number, write NaN: it counts as an amount."
            )


def warn_of_outlier(values, name):
    """Warn of a number so far from the others that these hardly differ once they are scaled."""
    if len(values) < _FEWEST:
        return
    squares = (values - np.median(values)) ** 2
    row = squares.argmax()
    if squares[row] > _MOST_VARIANCE * squares.sum() and np.ptp(np.delete(values, row)) > 0:
        number = user_rows(row, len(values))
        warn(
            f"Column {name!r} has {values[row]:g} in row {number}, so far from all others that "
            "these hardly differ once the column is scaled. Correct the number, or give the column "
            "to transformers, for example to take the logarithm."
        )


def warn_of_words(words, name):
    """Warn of a column in which nearly each row has a word of its own, or one is spelled twice."""
    counts = Counter(word for word in words if word is not None)
    if counts.total() >= _FEWEST and len(counts) > _NEARLY_ALL * counts.total():
        warn(
            f"Column {name!r} has {len(counts)} words in {counts.total()} rows, such as "
            f"{listed(counts, most=2, write=brief)}, as texts, names and ids do. Rows to predict "
            "will hardly have one of them. Leave it out, or give texts and dates to transformers."
        )
        return
    strings = [word for word in counts if isinstance(word, str) and len(word) > 1]
    if spelled := alike(strings, _plain):
        one, other = written_apart(*spelled[0][:2])
        rows = [_first_row(words, word) for word in spelled[0][:2]]
        warn(
            f"Column {name!r} has {one}, first in row {rows[0]}, and {other}, first in row "
            f"{rows[1]}, which differ only in case, blanks or '.0'. If they are one word, write "
            "them alike."
        )


def warn_of_ids(words, y, name):
    """Warn if rows with the same word have the same y, in too many rows to be chance.

    A word for each class, such as the class itself, is left to the ensemble.
    """
    given = [(words[row], one) for row, one in _given(y).items() if words[row] is not None]
    pairs, counts = Counter(given), Counter(word for word, _ in given)
    sizes = np.array([*Counter(one for _, one in given).values()])
    if len(counts) <= len(sizes) or len(pairs) > len(counts):
        return
    loss = -np.log(np.sum((sizes / sizes.sum()) ** 2)) * (len(given) - len(counts))
    if loss > NO_CHANCE:
        word = counts.most_common(1)[0][0]
        warn(
            f"Column {name!r}: rows with the same word have the same y, such as {counts[word]} "
            f"rows with {brief(word)}. If a word stands for what several pictures show, such as an "
            "id, pass the column as groups instead. If it was made of y, leave it out."
        )


def warn_of_new_words(words, known, name):
    """Warn of words that ``fit`` has not seen, which is no mistake if they are merely rare."""
    unknown = [word for word in words if word not in known]
    are_many = len(words) >= _FEWEST_TO_PREDICT and len(unknown) > len(words) / 2
    category = SuspectedMistakeWarning if are_many else UserWarning
    if None in unknown:
        first = _first_row(words, None)
        warn(
            f"Column {name!r} has no word in {unknown.count(None)} of {len(words)} rows, first in "
            f"row {first}, and had one in all rows of fit. They count as no word.",
            category,
        )
    new = [word for word in dict.fromkeys(unknown) if word is not None]
    if not new:
        return
    written = {_plain(one): one for one in known}
    word = next((one for one in new if _plain(one) in written), new[0])
    hint = f" Fit had {brief(written[_plain(word)])}." if _plain(word) in written else ""
    more = f" and {len(new) - 1} more word{'s' * (len(new) > 2)}" if len(new) > 1 else ""
    warn(
        f"Column {name!r} has unknown categories, which are not among the rows of fit: "
        f"{brief(word)} in row {_first_row(words, word)}{more}.{hint} They count as no word.",
        SuspectedMistakeWarning if hint else category,
    )


def _plain(word):
    """Return what is left of a word without its case, blanks, and the ".0" of a float."""
    return " ".join(str(word).casefold().split()).removesuffix(".0")


def _first_row(words, word):
    return user_rows(words.index(word), len(words))


def _given(y):
    """Return a dict from rows to labels or values to predict, without missing ones."""
    if y is None or np.ndim(y) != 1:  # of several outputs
        return {}
    unlabeled = unlabeled_rows(y, signs_are_classes=True)
    return {row: one for row, one in enumerate(np.asarray(y, object)) if not unlabeled[row]}
