"""Small sets of real, named pictures, to try a classifier without a large download.

:func:`load_emoji` reads pictures that ship with the package; :func:`fetch_tuxpaint` fetches the
stamps of Tux Paint, many of them photographs, from Debian. Both return file paths, which the
estimators of this package take, and follow the loaders of :mod:`sklearn.datasets`.
:func:`load_folder` and :func:`load_table` do the same for a user's own pictures.
:func:`fetch_benchmark` loads the 21 sets of the paper if they are available.
"""

from ..exceptions import DatasetNotAvailableError
from ._benchmarks import fetch_benchmark, list_benchmarks
from ._emoji import load_emoji
from ._local import load_folder, load_table
from ._tuxpaint import fetch_tuxpaint

__all__ = [
    "DatasetNotAvailableError",
    "fetch_benchmark",
    "fetch_tuxpaint",
    "list_benchmarks",
    "load_emoji",
    "load_folder",
    "load_table",
]
