"""Packages that only some users need, which extras of this one bring."""

from importlib import import_module


def lacking(package, extra, what, otherwise=""):
    """The ImportError of a package that is not installed.

    Parameters
    ----------
    package, extra : str
    what : str
        What needs the package, in the plural.
    otherwise : str
        A sentence on what to do without it.

    Returns
    -------
    ImportError
    """
    text = f'{what} need {package}: pip install "skclipens[{extra}]". {otherwise}'
    return ImportError(text.rstrip())


def require(package, extra, what, otherwise=""):
    """Raise the error of :func:`lacking` if a package cannot be imported."""
    try:
        import_module(package)
    except ImportError:
        raise lacking(package, extra, what, otherwise) from None
