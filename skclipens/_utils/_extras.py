"""Optional packages: how to install them, and errors if they are missing."""

from importlib import import_module

_WITH_PARTS = {"transformers": '"transformers[sentencepiece]"'}


def how_to_install(package):
    """Return the command that installs a package.

    It names the package itself, not an extra of skclipens, so that it works however skclipens was
    installed.
    """
    return f"pip install {_WITH_PARTS.get(package, package)}"


def lacking(package, what, otherwise=""):
    """Return the ImportError for a package that is not installed.

    `what` needs the package, in the plural; `otherwise` is a sentence on what to do without it.
    """
    return ImportError(f"{what} need {package}: {how_to_install(package)}. {otherwise}".rstrip())


def require(package, what, otherwise=""):
    """Raise the error of :func:`lacking` if a package cannot be imported."""
    try:
        import_module(package)
    except ImportError:
        raise lacking(package, what, otherwise) from None
