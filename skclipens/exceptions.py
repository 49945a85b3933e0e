"""Errors and warnings that a program may want to catch, to filter or to raise."""

__all__ = [
    "BackboneNotAvailableError",
    "DatasetNotAvailableError",
    "EmbeddingStoreError",
    "ImageError",
    "SuspectedMistakeWarning",
]


class BackboneNotAvailableError(RuntimeError):
    """A pretrained backbone cannot be loaded, mostly since it is not on this machine.

    See Also
    --------
    skclipens.backbones.load_backbone : Raises it.
    """


class DatasetNotAvailableError(OSError):
    """A data set that is not on the disk and cannot be downloaded; the message says what to do.

    See Also
    --------
    skclipens.datasets.fetch_benchmark : Raises it.
    skclipens.datasets.fetch_tuxpaint : Raises it.
    """


class EmbeddingStoreError(RuntimeError):
    """The embedding store cannot be read or written; says which file and what to do.

    See Also
    --------
    skclipens.EmbeddingStore : Raises it.
    """


class ImageError(ValueError):
    """One image that cannot be used, with the reason and what to do about it.

    See Also
    --------
    skclipens.images.load_image : Raises it.
    """


class SuspectedMistakeWarning(UserWarning):
    """A probable mistake in the input, such as labels in the wrong order.

    The message says why, and what to look at: names in another order than the labels, columns of
    another model, rows that were shuffled, pictures that are nearly black.

    See Also
    --------
    ImageError : An image cannot be used.

    Notes
    -----
    A warning never stops a program. A filter can turn these warnings into errors, for example in a
    program that runs unattended, or ignore them, without a change to other warnings.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from skclipens import AdaptiveBackboneEnsemble
    >>> from skclipens.exceptions import SuspectedMistakeWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> labels = [["setosa", "Virginica", "virginica"][c] for c in y]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", SuspectedMistakeWarning)
    ...     AdaptiveBackboneEnsemble([("all", slice(0, 4))]).fit(X, labels)
    Traceback (most recent call last):
        ...
    skclipens.exceptions.SuspectedMistakeWarning: y has the classes 'Virginica', ...
    """
