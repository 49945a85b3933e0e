"""Packages that only some users need: what to install, and errors where they are missing."""

from importlib import import_module

_WITH_PARTS = {"transformers": '"transformers[sentencepiece]"'}


def how_to_install(package):
    """The command that installs a package.

    It names the package itself, and not an extra of this one, so that it works however this one
    was installed.
    """
    return f"pip install {_WITH_PARTS.get(package, package)}"


def lacking(package, what, otherwise=""):
    """The ImportError of a package that is not installed.

    Parameters
    ----------
    package : str
    what : str
        What needs the package, in the plural.
    otherwise : str
        A sentence on what to do without it.

    Returns
    -------
    ImportError
    """
    return ImportError(f"{what} need {package}: {how_to_install(package)}. {otherwise}".rstrip())


def require(package, what, otherwise=""):
    """Raise the error of :func:`lacking` if a package cannot be imported."""
    try:
        import_module(package)
    except ImportError:
        raise lacking(package, what, otherwise) from None
