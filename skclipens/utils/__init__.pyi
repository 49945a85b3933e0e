"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

def show_versions() -> Any: ...
def skops_trusted_types() -> list[str]: ...
