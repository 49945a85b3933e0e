"""Differences of accuracies by set and number of labelled pictures, with intervals."""

import numpy as np

from skclipens.model_selection._intervals import crossed_bootstrap, ends, paired_interval

from ._machine import markdown_of, points

SET = "set, labelled pictures per class"


def difference(name, right, other, tested):
    """Return the cells of a row for :func:`differences_table`: the interval and its replicates.

    Parameters
    ----------
    name : str
        Name of the other system.
    right, other : array-like of shape (D, N), bool
        Which pictures each of the two systems has right, by draw.
    tested : array-like of shape (D, N), bool
    """
    values = np.subtract(right, other, dtype=np.float32)
    return {
        name: paired_interval(right, other, tested),
        f"{name} replicates": crossed_bootstrap(values, tested),
    }


def differences_table(rows, name):
    """Return a table in Markdown: a row for each set, and the mean of several; columns by shots.

    Parameters
    ----------
    rows : DataFrame
        Columns set, shots, and those of :func:`difference`.
    name : str
    """
    text = rows.assign(cell=[points(*one) for one in rows[name]])
    frame = text.pivot(index="set", columns="shots", values="cell").loc[rows["set"].unique()]
    means = {}
    for shots, of_shots in rows.groupby("shots"):
        low, high = ends(np.mean(of_shots[f"{name} replicates"].tolist(), axis=0))
        means[shots] = points(of_shots[name].map(lambda one: one[0]).mean(), low, high)
    if len(frame) > 1:
        frame.loc["mean of the sets"] = means
    frame.index.name = SET
    return markdown_of(frame)
