"""Small sets of real, named pictures, to try a classifier on without a large download.

:func:`load_emoji` reads pictures that ship with the package; :func:`fetch_tuxpaint` fetches the
stamps of Tux Paint, many of them photographs, from Debian. Both give file paths, which is what
the estimators of this package take, and follow the loaders of :mod:`sklearn.datasets`.
"""

from skclipens.datasets._emoji import load_emoji
from skclipens.datasets._tuxpaint import fetch_tuxpaint, load_tuxpaint

__all__ = ["fetch_tuxpaint", "load_emoji", "load_tuxpaint"]
