"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from skclipens.embedding import EmbeddingStore as EmbeddingStore
from skclipens.embedding import EmbeddingStoreError as EmbeddingStoreError
from skclipens.embedding import image_key as image_key
from skclipens.embedding import model_key as model_key
