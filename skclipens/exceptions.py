"""Exceptions and warnings of the package."""

__all__ = [
    "BackboneNotAvailableError",
    "DatasetNotAvailableError",
    "EmbeddingStoreError",
    "ImageError",
    "SuspectedMistakeWarning",
]


class BackboneNotAvailableError(RuntimeError):
    """A pretrained backbone cannot be loaded, mostly because its weights are not on this machine.

    See Also
    --------
    skclipens.backbones.load_backbone : Raises it.
    """


class DatasetNotAvailableError(OSError):
    """A data set is not on the disk and cannot be downloaded; the message says what to do.

    See Also
    --------
    skclipens.datasets.fetch_benchmark : Raises it.
    skclipens.datasets.fetch_tuxpaint : Raises it.
    """


class EmbeddingStoreError(RuntimeError):
    """The embedding store cannot be read or written; the message names the file and a remedy.

    See Also
    --------
    skclipens.EmbeddingStore : Raises it.
    """


class ImageError(ValueError):
    """An image cannot be used; the message gives the reason and says what to do.

    See Also
    --------
    skclipens.images.load_image : Raises it.
    """


class SuspectedMistakeWarning(UserWarning):
    """A probable mistake in the input, such as labels in the wrong order.

    The message gives the reason and says what to check. Other examples are class names in another
    order than the labels, columns of another model, shuffled rows, and images that are nearly
    black.

    See Also
    --------
    ImageError : An image cannot be used.

    Notes
    -----
    These warnings do not stop a program. A filter can turn them into errors, for example in a
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
