"""Classify the rows of a table that ``embed_to`` has written."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._utils._known_labels import require_one_label
from .._utils._warnings import silent
from ._base import BaseEmbedder
from ._folder import Folder, content_of
from ._parts import PartedTable
from ._unreadable import labels_and_proba_among, unreadable_rows


def predict_embeddings(classifier, folder, *, out_folder=None, verbose=False):
    """Classify the rows of a table that ``embed_to`` has written, a part at a time.

    Parts are read by joblib tasks: by default one after the other in this process, and within
    :func:`joblib.parallel_config` in several processes or on a Dask cluster. Each process holds one
    part at a time.

    Parameters
    ----------
    classifier : classifier
        A fitted ensemble, head, or any classifier of scikit-learn. It is passed the columns that it
        was fitted on, by their names, or all columns if it was fitted without names.
    folder : str or os.PathLike
        Folder or fsspec URL.
    out_folder : None, str or os.PathLike, default=None
        A new or empty folder in which the probabilities of all classes are stored: Parquet files of
        float32 with one column per class, in as many parts as `folder` has. The classifier then
        needs ``predict_proba``. None: they are not stored.
    verbose : bool or int, default=False
        Whether to show a progress bar.

    Returns
    -------
    pandas.DataFrame of shape (n, 2)
        The columns ``label``, the predicted label, and ``probability``, that of the most probable
        class. Rows are in the order of the images, indexed by their names. Both values are missing
        if the image could not be read. Without ``predict_proba``, there is no ``probability``.

    Raises
    ------
    FileNotFoundError
        If `folder` holds no embeddings.
    ValueError
        If a part is missing or damaged, a column is missing, or `out_folder` is not empty; or if
        `classifier` is not a classifier, lacks the ``predict_proba`` that `out_folder` needs,
        predicts several labels for each row, is a pipeline that embeds images, or was fitted on
        embeddings of other weights or settings, or on blocks that the folder has in another order.

    See Also
    --------
    skclipens.LinearDiscriminantHead.fit_from : Fit on such a table.
    skclipens.embedding.read_embeddings : Read such a table, or some of its rows.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skclipens import CLIPEmbedder, LinearDiscriminantHead
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.embedding import predict_embeddings
    >>> emoji = load_emoji(min_class_size=60)
    >>> with TemporaryDirectory() as folder:
    ...     parts = CLIPEmbedder("zoo/RN20").embed_to(folder, emoji.filenames)
    ...     head = LinearDiscriminantHead().fit_from(folder, emoji.target)
    ...     found = predict_embeddings(head, folder)
    >>> list(found.columns)
    ['label', 'probability']
    """
    import pandas as pd

    check_is_fitted(classifier)
    _check(classifier, out_folder)
    names = getattr(classifier, "feature_names_in_", None)
    table = PartedTable(folder, columns=None if names is None else names.tolist())
    _refuse_other_number(classifier, table)
    table.refuse_other_settings(getattr(classifier, "_table_settings", {}))
    if out_folder is not None:
        out_folder = Folder(out_folder, again="predict again, to a new folder")
        out_folder.begin_empty()
    given = classifier, out_folder
    done = table.map(_predict, lambda start, stop: given, verbose=verbose, desc="predicting")
    in_order = sorted(done, key=lambda part: part[0])
    labels, probability, images = map(np.concatenate, zip(*(result for _, _, result in in_order)))
    found = pd.DataFrame({"label": labels}, index=pd.Index(images, name="image"))
    if hasattr(classifier, "predict_proba"):
        found["probability"] = probability
    return found


def _check(classifier, out_folder):
    best = getattr(classifier, "best_estimator_", classifier)  # of a search
    if isinstance(best, Pipeline) and isinstance(best.steps[0][1], BaseEmbedder):
        name = "classifier" if best is classifier else "classifier.best_estimator_"
        raise ValueError(
            f"{name} is a pipeline that embeds images, and a table of embeddings holds none: pass "
            f"what reads them, {name}[-1]."
        )
    last = classifier[-1] if isinstance(classifier, Pipeline) else classifier
    advice = "call its predict on parts of the table, read_embeddings(folder, rows=...)."
    require_one_label(last, advice)
    if out_folder is not None and not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"out_folder is for probabilities, and {type(classifier).__name__} has none: leave it "
            "out."
        )


def _refuse_other_number(classifier, table):
    """Raise ValueError if a classifier fitted without names had another number of columns."""
    n_features = getattr(classifier, "n_features_in_", len(table.columns))
    if n_features != len(table.columns):
        how = "Fit it on a frame, as read_embeddings gives: its columns are then found by name."
        if n_features == 1:
            how += (
                " If it embeds images itself, fit what reads embeddings, such as a CascadeEnsemble "
                "in place of a CascadeClassifier."
            )
        raise ValueError(
            f"{table.name!r} has {len(table.columns)} columns, and classifier was fitted on "
            f"{n_features} without names. {how}"
        )


def _predict(table, parts, given):
    """Return labels, highest probabilities and names of the rows of some parts."""
    found = [_predict_part(table, part, *given) for part in parts]
    return tuple(np.concatenate(of_parts) for of_parts in zip(*found))


def _predict_part(table, part, classifier, out_folder):
    import pandas as pd

    frame = table.read(part)
    # Names are passed even if fit saw none: blocks may be in another order.
    with table.naming(part), silent("X has feature names"):
        labels, proba = labels_and_proba_among(unreadable_rows(frame), classifier, frame)
    proba = proba.astype(np.float32)
    if out_folder is not None:
        columns = [str(label) for label in classifier.classes_]
        out_folder.write(part[0], content_of(pd.DataFrame(proba, frame.index, columns)))
    return labels, proba.max(axis=1), frame.index.to_numpy(object)
