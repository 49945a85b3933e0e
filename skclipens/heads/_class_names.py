"""Whether names fit their classes, as heads that start from prompts know them."""

from functools import partial

from .._mistakes._names import TextsOfRows, warn_of_names


def warn_of_names_of(heads, rows, targets):
    """Warn if names of classes seem to be in another order, or one of them to be wrong.

    Parameters
    ----------
    heads : list of BaseTextHead
        They know the same classes. Without any, nothing is said.
    rows : list of ndarray of shape (n, width)
        For each head, embeddings of unit length.
    targets : ndarray of shape (n,), int
        Positions of the classes of the rows.

    Warns
    -----
    SuspectedMistakeWarning
        See :func:`skclipens._mistakes._names.warn_of_names`.
    """
    if not heads:
        return
    classes, class_names = heads[0].classes_, heads[0].class_names
    texts = [
        TextsOfRows(
            one, head.text_features_, head.logit_scale_, partial(head._features_of, [len(classes)])
        )
        for head, one in zip(heads, rows, strict=True)
    ]
    warn_of_names(
        texts,
        targets,
        classes,
        class_names,
        lambda: heads[0]._prompts(classes, class_names, heads[0].templates)[1],
    )
