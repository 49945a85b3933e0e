"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

class View:
    box: Any
    mirror: bool
    def __init__(self, box: Any = ..., mirror: bool = ...) -> None: ...
def as_image_list(X: Any) -> Any: ...
def load_image(image: Any) -> Any: ...
