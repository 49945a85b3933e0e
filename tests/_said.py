"""What a call warns of."""

import warnings
from contextlib import contextmanager


def said(call, *args):
    """The texts of all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args)
    return [str(warning.message) for warning in caught]


@contextmanager
def no_warning():
    """A context in which a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
