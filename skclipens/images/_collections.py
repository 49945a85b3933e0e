"""Split collections of images into sequences of items, without decoding them."""

import os
import re
import reprlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from numbers import Number

import numpy as np
from PIL import Image

from .._utils._column_names import names_of_columns, refuse_lazy
from .._utils._locks import ForkLock
from .._utils._missing import without_mask
from ..exceptions import ImageError
from ._containers import name_of
from ._errors import error_of_other_code
from ._limits import refusal
from ._load import CHANNELS, is_tensor

# Reentrant: a thread that reads a dataset may read another one that it wraps.
_locks = [ForkLock(reentrant=True) for _ in range(64)]
_MAX_WRAPPERS = 100  # one that wraps itself has no end
_EMBEDDED = re.compile(r"__\d+$")  # ends names of an embedder's columns
_ADVICE_ON_EMBEDDED = (
    "give the images, or give this table to what follows the embedder, such as pipeline[-1]."
)


def as_image_list(X):
    """Split any collection of images into a list of one-image items.

    Nothing is decoded and no pixel is copied or checked: :func:`load_image` does that.

    Parameters
    ----------
    X : sequence, array, tensor, Series, one-column DataFrame or dataset of n images
        - a list, tuple or other sequence of items, of any mix of kinds and sizes;
        - an object or string ndarray of shape (n,) or (n, 1);
        - a numeric ndarray of shape (n, H, W) or (n, H, W, C), C in {1, 3, 4};
        - a torch tensor of shape (n, H, W) or (n, C, H, W);
        - a Series or one-column DataFrame of pandas or polars, or a column of pyarrow;
        - a dataset of torch that has a length; if its items are tuples, such as (image, label),
          their first entries are the images, which are read on demand.

    Returns
    -------
    items : sequence of length n
        The images; see :func:`load_image` for what an item can be. Items of an array or tensor are
        views. A dataset, or a sequence that is no list or tuple, makes its items on demand, one at
        a time, in any thread. Anything else becomes a list.

    Raises
    ------
    ValueError
        If X is a single image, is empty, has several columns, or holds no images. A numeric
        array of shape (a, b, c) with c in {1, 3, 4} and a tensor with a in {3, 4} could be
        one colour image or a grey batch: they are refused, and the message gives both ways out.

    See Also
    --------
    load_image : Reads one image.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.images import as_image_list
    >>> as_image_list(("cat.jpg", "dog.jpg"))
    ['cat.jpg', 'dog.jpg']
    >>> [item.shape for item in as_image_list(np.zeros((2, 32, 48, 3), dtype=np.uint8))]
    [(32, 48, 3), (32, 48, 3)]
    """
    _refuse_single(X)
    X = _one_column(X)
    if is_tensor(X):
        items = _split_batch(X, channels_first=True)
    elif hasattr(X, "to_list"):  # a Series of pandas, polars and their like
        items = X.to_list()
    elif hasattr(X, "to_pylist"):  # a column of pyarrow
        items = X.to_pylist()
    elif isinstance(X, (list, tuple)):
        items = list(X)
    elif isinstance(X, Sequence):  # all items at once may not fit in memory, or in one array
        items = X if isinstance(X, OnDemand) else OnDemand(X)
    elif hasattr(X, "__array__"):
        items = _split_array(X if np.ma.isMaskedArray(X) else np.asarray(X))
    elif _is_dataset(X):
        items = OnDemand(X, of_pairs=True)
    else:
        raise ValueError(
            "Expected a list, array, tensor, frame column or dataset of images, got "
            f"{type(X).__name__}: pass {_instead(X)}."
        )
    if not len(items):
        shape = tuple(getattr(X, "shape", (0,)))
        how = "rows of a table were selected, check the condition"
        if not hasattr(X, "to_list") and not hasattr(X, "to_pylist"):
            how = "a pattern was to find files, check it, and the folder that it starts at"
        raise ValueError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required. "
            f"If {how}."
        )
    return items


def some_images(X, rows):
    """Return the images at some positions of X; those of a dataset are read on demand."""
    images = as_image_list(X)
    if not isinstance(images, OnDemand):
        return [images[row] for row in rows]
    from torch.utils.data import Subset

    return OnDemand(Subset(images, rows.tolist()))


def paths_of(images):
    """Return the path of each image, or None where it has none; none at all of most datasets.

    Also those of PIL images that were opened from files, and of torchvision's datasets of folders.
    """
    if isinstance(images, list):
        return [getattr(image, "filename", "") or name_of(image) for image in images]
    dataset, rows = images.dataset, range(len(images))
    # Whoever holds a Subset has imported torch; this module must not.
    while isinstance(dataset, getattr(sys.modules.get("torch.utils.data"), "Subset", ())):
        rows, dataset = [dataset.indices[row] for row in rows], dataset.dataset
    samples = getattr(dataset, "samples", None)
    are_pairs = isinstance(samples, list) and all(isinstance(one, tuple) for one in samples)
    return [samples[row][0] for row in rows] if are_pairs and len(samples) == len(dataset) else []


class OnDemand(Sequence):
    """Images of a dataset, read on demand and one at a time.

    A dataset may have one open file, in which a thread would seek while another one reads, or one
    buffer that it fills for each item. So each item is copied before the next one is read. Subsets
    of one dataset wait for each other, too. Indexing raises ImageError, with the reason, if the
    dataset fails to give the item.
    """

    def __init__(self, dataset, *, of_pairs=False):
        self.dataset, self._of_pairs = dataset, of_pairs
        self._source = _source_of(dataset)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[row] for row in range(len(self))[i]]
        if i >= len(self):  # ends an iteration
            raise IndexError(i)
        try:
            with _locks[id(self._source) // 16 % len(_locks)]:
                item = self.dataset[i]
                is_pair = self._of_pairs and isinstance(item, (tuple, list))
                return _copied(item[0] if is_pair else item)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # any error of the dataset's own code
            name = f"item {i} of the {type(self.dataset).__name__}"
            raise error_of_other_code(name, error) from error


def _source_of(dataset):
    """Return the dataset that wrappers such as torch's Subset lead to."""
    for _ in range(_MAX_WRAPPERS):
        inner = getattr(dataset, "dataset", None)
        if inner is None:
            break
        dataset = inner
    return dataset


def _copied(item):
    """Return an item that does not change when the dataset makes the next one."""
    if isinstance(item, np.ndarray):
        return item.copy()
    if is_tensor(item):
        return item.detach().clone()
    if isinstance(item, (bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, Image.Image) and not _has_own_file(item) and not refusal(item):
        return _copied_picture(item)
    return item


def _has_own_file(picture):
    """Return whether a PIL image is yet to be read from a file that it has opened itself."""
    is_unread = getattr(picture, "fp", None) is not None and getattr(picture, "filename", "")
    return bool(is_unread) and not getattr(picture, "is_animated", False)


def _copied_picture(picture):
    twin = picture.copy()
    twin.format = picture.format  # it and the tags of TIFF determine what values mean
    if hasattr(picture, "tag_v2"):
        twin.tag_v2 = picture.tag_v2
    return twin


def _is_dataset(X):
    has_items = hasattr(X, "__getitem__") and hasattr(X, "__len__")
    return has_items and not isinstance(X, Mapping)


def _instead(X):
    """Return what to pass instead of an object that is no collection of images."""
    if isinstance(X, Iterator):  # such as Path.glob
        return "list(X), or sorted(X) if they are paths: it can be gone through only once"
    if hasattr(X, "dataset"):  # a DataLoader
        return "its images, such as X.dataset"
    if isinstance(X, Mapping) and len(X):
        key, value = next(iter(X.items()))
        if isinstance(value, (str, Number)):
            return "list(X), with list(X.values()) as labels, if it goes from paths to labels"
        return f"what has the images in it, such as X[{key!r}]"
    return "a list of images, such as list(X) if X iterates over them"


def _refuse_single(X):
    if not isinstance(X, (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)):
        return
    is_path = isinstance(X, (str, os.PathLike))
    kind = "path" if is_path else type(X).__name__
    more = ""
    if is_path and ("*" in os.fspath(X) or os.path.isdir(X)):
        more = (
            " Of a pattern, pass sorted(Path(folder).glob(pattern)). Of a folder of pictures, pass "
            "sorted(Path(folder).iterdir()); of one folder per class, what "
            "skclipens.datasets.load_folder finds."
        )
    raise ValueError(
        f"Expected a collection of images, got a single one ({kind}): wrap it in a list, "
        f"[image].{more}"
    )


def _one_column(X):
    """Return the only column of a frame; anything else is returned unchanged."""
    refuse_lazy(X)
    columns = names_of_columns(X)
    if columns is None:
        return X
    if len(columns) > 1 and all(_EMBEDDED.search(str(name)) for name in columns):
        raise ValueError(
            f"Expected images, got {len(columns)} columns of embeddings {reprlib.repr(columns)}: "
            f"{_ADVICE_ON_EMBEDDED}"
        )
    if len(columns) != 1:
        raise ValueError(
            "Expected one column of images, got a frame with "
            f"{len(columns)} columns {reprlib.repr(columns)}: select one, such as X['image']."
        )
    return X[columns[0]]


def _split_array(X):
    if X.dtype.kind == "S":
        raise ValueError(
            f"Expected paths as text, got an array of bytes (dtype={X.dtype}): pass X.astype(str). "
            "If they are contents of files, pass a list: an array drops zeros at their end."
        )
    if X.dtype.kind in "OUT" and X.ndim in (1, 2):
        if X.ndim == 2 and X.shape[1] != 1:
            raise ValueError(
                "Expected one column of images, got an array with "
                f"{X.shape[1]} columns (shape={X.shape}): select one."
            )
        return list(without_mask(X).ravel())
    return _split_batch(X, channels_first=False)


def _split_batch(X, channels_first):
    shape = tuple(X.shape)
    if shape[:1] == (0,):
        return []
    if len(shape) not in (3, 4):
        raise ValueError(
            f"Expected images, got values of shape {shape} and dtype {X.dtype}: pass a list of "
            "images or a batch of them; one grey image goes in a list, [image]. If they are "
            f"embeddings, {_ADVICE_ON_EMBEDDED}"
        )
    # A tensor of shape (1, H, W) is the same whether read as one image or as a batch of one.
    one_image = shape[0] in (3, 4) if channels_first else shape[-1] in CHANNELS
    if len(shape) == 3 and one_image:
        add_channel = "X[:, None]" if channels_first else "X[..., None]"
        raise ValueError(
            f"Expected a collection of images, got shape {shape}, which looks like a single one: "
            f"wrap it in a list, [image], or pass {add_channel} if it is a batch of grey images."
        )
    return list(X)
