"""Contexts in which a context variable has another value."""

from contextlib import contextmanager


@contextmanager
def set_within(variable, value):
    """A context in which a :class:`contextvars.ContextVar` has a value."""
    # From Python 3.14 on, `variable.set(value)` is such a context itself.
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
