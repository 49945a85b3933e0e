"""Numbers of rows in messages, where a fit gets only some of the user's rows."""

from contextvars import ContextVar

from ._contexts import set_within

_numbers = ContextVar("numbers of the rows that are fitted, among those of the user", default=None)


def fitted_rows(numbers):
    """Return a context in which the rows of a fit are called by these numbers; ndarray of int."""
    return set_within(_numbers, numbers)


def user_rows(rows, n_rows):
    """Return the user's numbers of rows of a fit, which has `n_rows` rows."""
    numbers = _numbers.get()
    return rows if numbers is None or len(numbers) != n_rows else numbers[rows]
