"""Twemoji pictures, named and classified by Unicode."""

import csv
import json
from pathlib import Path

import numpy as np

from ..zoo import SUBCATEGORIES
from ._bunch import has_large_class, make_dataset, read_description

DATA = Path(__file__).parent / "data" / "emoji"
TARGETS = ("subcategory", "name")


def load_emoji(
    *,
    target="subcategory",
    min_class_size=12,
    include_flags=False,
    return_X_y=False,
    as_frame=False,
):
    """Load the emoji dataset (image classification).

    Pictures of 64 x 64 pixels from the Twemoji set, with the names and subcategories that
    Unicode gives them. They ship with the package. None of them is among the pictures that the
    zoo was trained on, but other drawings of the same emoji are.

    =====================   ====================
    Classes                                   54
    Samples per class                   12 to 82
    Samples total                           1365
    Dimensionality          64 x 64 pixels, RGBA
    =====================   ====================

    Parameters
    ----------
    target : {"subcategory", "name"}, default="subcategory"
        What the classes are. With ``"subcategory"`` they are kinds of things, such as "mammal"
        or "fruit". With ``"name"`` every picture is a class of its own, named by its CLDR short
        name, such as "red apple": the target of zero-shot naming.
    min_class_size : int, default=12
        Leave out subcategories with fewer pictures. Ignored with ``target="name"``.
    include_flags : bool, default=False
        Whether to include flags, most of them of countries: 259 with the default of
        `min_class_size`, 270 with 1.
    return_X_y : bool, default=False
        If True, return ``(filenames, labels)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, ``target`` is a pandas Series. With `return_X_y` the labels are one, and the
        inputs are a DataFrame with the single column "path".

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        filenames : ndarray of shape (n_samples,), dtype str
            Absolute paths of the PNG files, which have transparent parts.
        target : {ndarray, Series} of shape (n_samples,), dtype int
            Indices into `target_names`.
        target_names : ndarray of shape (n_classes,), dtype str
            The names of the classes, sorted.
        frame : DataFrame of shape (n_samples, 6)
            Columns "path", "name", "category", "subcategory", "label" (the name of the class)
            and "target".
        all_names : ndarray of shape (1911,), dtype str
            The names of all emoji, those of flags and skin tones included: the candidates for
            zero-shot naming among all names.
        DESCR : str
            The full description of the dataset, with its licence.

    (filenames, labels) : tuple if `return_X_y` is True
        The inputs, and the names of the classes, ``target_names[target]``.

    Raises
    ------
    ValueError
        If `target` is unknown, or no class has `min_class_size` pictures.

    See Also
    --------
    fetch_tuxpaint : Stamps of varying size, many of them photographs.

    Examples
    --------
    >>> from skclipens.datasets import load_emoji
    >>> emoji = load_emoji()
    >>> emoji.filenames.shape
    (1365,)
    >>> print(*emoji.target_names[:4], sep=", ")
    aircraft, arrow, asian food, bird
    >>> X, y = load_emoji(target="name", return_X_y=True)
    >>> len(X), str(y[0])
    (1636, 'grinning face')
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {TARGETS}, got {target!r}.")
    table = _read_table()
    left_out = ["Component"] if include_flags else ["Component", "Flags"]
    chosen = ~np.isin(table["category"], left_out)
    columns = {name: values[chosen] for name, values in table.items()}
    labels = columns["name"] if target == "name" else _class_names(columns["subcategory"])
    if target == "subcategory":
        large = has_large_class(labels, min_class_size)
        columns = {name: values[large] for name, values in columns.items()}
        labels = labels[large]
    filenames = np.array([str(DATA / "images" / file) for file in columns.pop("file")])

    dataset = make_dataset(filenames, labels, columns, return_X_y=return_X_y, as_frame=as_frame)
    if return_X_y:
        return dataset
    dataset.all_names = table["name"]
    dataset.DESCR = read_description("emoji")
    return dataset


def _read_table():
    with open(DATA / "emoji.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {column: np.array([row[column] for row in rows]) for column in rows[0]}


def _class_names(subcategories):
    phrases = json.loads(SUBCATEGORIES.read_text("utf-8"))  # of the captions that trained the zoo
    return np.array([phrases[subcategory][0] for subcategory in subcategories])
