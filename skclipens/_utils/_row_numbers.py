"""Numbers of rows in messages, where a fit gets only some of the user's rows."""

from contextvars import ContextVar
from functools import partial

from ._contexts import set_within

_numbers = ContextVar("numbers of the rows that are fitted, among those of the user", default=None)


def fitted_rows(rows, n_rows):
    """Return a context in which the rows of a fit have the user's numbers in messages.

    Parameters
    ----------
    rows : ndarray of int
        Positions of the rows that are fitted.
    n_rows : int
        Number of rows among which these are positions; they may be such rows themselves.
    """
    return set_within(_numbers, user_rows(rows, n_rows))


def user_rows(rows, n_rows):
    """Return the user's numbers of rows of a fit, which has `n_rows` rows."""
    numbers = _numbers.get()
    return rows if numbers is None or len(numbers) != n_rows else numbers[rows]


def with_row_numbers(function):
    """Make a function call rows by the numbers that they have here, also in another process."""
    return partial(_call_with, _numbers.get(), function)


def _call_with(numbers, function, *args):
    with set_within(_numbers, numbers):
        return function(*args)
