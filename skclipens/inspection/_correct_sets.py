"""Plot which experts are right together."""

from numbers import Integral

import numpy as np

from .._utils._docstrings import fill_doc
from .._utils._warnings import each_warning_once
from ..metrics import correct_sets
from ._display import split_ensemble, start_plot
from ._style import DARK, LIGHT, MIDDLE, RED, short_names


class CorrectSetsDisplay:
    """UpSet plot of the sets of rows that experts classify correctly.

    The plot is that of [1]_. Each column is a set of experts, marked by dark dots. The bar above it
    counts the rows that exactly these experts, and no others, classify correctly. The red bar
    counts the rows that no expert classifies correctly; an oracle that picks the right expert is
    right for all other rows. The bars at the right are the accuracies of the experts.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    counts : pandas.Series of int or float, with a MultiIndex of E levels of bool
        The result of :func:`skclipens.metrics.correct_sets`; float if rows have weights.

    Attributes
    ----------
    axes_ : dict of matplotlib Axes
        ``"counts"`` (the bars above), ``"members"`` (the dots) and ``"accuracy"`` (the bars at
        the right).
    ax_ : matplotlib Axes
        Axes that contain these.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skclipens.metrics.correct_sets : The counts.
    DiversityGainDisplay : What is gained from different mistakes.

    References
    ----------
    .. [1] Lex et al., "UpSet: Visualization of Intersecting Sets", IEEE Transactions on
       Visualization and Computer Graphics, 2014.

    Examples
    --------
    >>> from skclipens.inspection import CorrectSetsDisplay
    >>> y_true = [0, 1, 2, 3, 4]
    >>> predictions = [[0, 1], [1, 0], [1, 2], [0, 3], [4, 4]]
    >>> display = CorrectSetsDisplay.from_predictions(
    ...     y_true, predictions, expert_names=["RN50", "ViT-B-32"]
    ... )
    >>> display.counts[True, True]
    np.int64(1)
    """

    def __init__(self, counts):
        self.counts = counts

    @classmethod
    @each_warning_once()
    @fill_doc
    def from_estimator(cls, estimator, X, y, *, sample_weight=None, max_regions=30, ax=None):
        """Plot the correct sets of the experts of a fitted ensemble.

        Parameters
        ----------
        %(to_plot)s
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, which are summed instead of counting rows.
        %(max_regions)s
        %(ax)s

        Returns
        -------
        CorrectSetsDisplay
            The display, which is drawn.

        Raises
        ------
        %(raises_of_plots)s

        Warns
        -----
        %(warns_of_plots)s
        """
        ensemble, X = split_ensemble(estimator, X, y, sample_weight=sample_weight)
        return cls.from_predictions(
            y,
            ensemble.classes_[ensemble.expert_proba(X).argmax(axis=2)],
            expert_names=ensemble.expert_names_,
            sample_weight=sample_weight,
            max_regions=max_regions,
            ax=ax,
        )

    @classmethod
    @fill_doc
    def from_predictions(
        cls,
        y_true,
        predictions,
        *,
        expert_names=None,
        sample_weight=None,
        max_regions=30,
        ax=None,
    ):
        """Plot the correct sets of given predictions.

        Parameters
        ----------
        %(y_and_predictions)s
        %(names_of_experts)s
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, which are summed instead of counting rows.
        %(max_regions)s
        %(ax)s

        Returns
        -------
        CorrectSetsDisplay
            The display, which is drawn.

        Raises
        ------
        ValueError
            If shapes do not fit together, or expert_names are not distinct.
        """
        counts = correct_sets(
            y_true, predictions, expert_names=expert_names, sample_weight=sample_weight
        )
        return cls(counts).plot(max_regions=max_regions, ax=ax)

    @fill_doc
    def plot(self, *, max_regions=30, ax=None):
        """Plot the sets.

        Parameters
        ----------
        %(max_regions)s
        %(ax)s

        Returns
        -------
        CorrectSetsDisplay
            This object.

        Raises
        ------
        ValueError
            If `max_regions` is neither None nor an int above 0.
        """
        is_number = isinstance(max_regions, Integral) and not isinstance(max_regions, bool)
        if max_regions is not None and not (is_number and max_regions > 0):
            raise ValueError(f"max_regions must be None or an int above 0; got {max_regions!r}.")
        shown = self.counts.sort_values(ascending=False, kind="stable")[:max_regions]
        members = np.array(shown.index.tolist(), bool)
        n_regions, n_experts = members.shape

        ax = start_plot(self, ax, (3.5 + 0.28 * n_regions, 2.8 + 0.3 * n_experts))
        ax.set_axis_off()
        height = 0.3 * n_experts / (2.5 + 0.3 * n_experts)
        above = ax.inset_axes([0, height + 0.02, 0.82, 0.98 - height])
        dots = ax.inset_axes([0, 0, 0.82, height], sharex=above)
        right = ax.inset_axes([0.84, 0, 0.16, height], sharey=dots)
        self.axes_ = {"counts": above, "members": dots, "accuracy": right}
        self._plot_counts(above, shown, members)
        self._plot_members(dots, members)
        self._plot_accuracies(right)
        return self

    def _plot_counts(self, ax, shown, members):
        colors = [DARK if any(row) else RED for row in members]
        bars = ax.bar(np.arange(len(shown)), shown, color=colors, width=0.7)
        ax.bar_label(bars, fontsize="small", rotation=90 if shown.max() > 99 else 0, padding=2)
        ax.margins(y=0.15)
        ax.set_ylabel("Rows, weighted" if self.counts.dtype.kind == "f" else "Rows")
        ax.tick_params(bottom=False, labelbottom=False)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        left_out = len(self.counts) - len(shown)
        if left_out:
            rows = self.counts.sum() - shown.sum()
            rows = f"{rows:.3g}" if self.counts.dtype.kind == "f" else rows
            note = f"{left_out} smaller regions, {rows} rows, not shown"
            ax.text(1, 1, note, transform=ax.transAxes, ha="right", va="top", fontsize="small")
        for region in np.flatnonzero(~members.any(axis=1)):
            place = {"loc": "upper right", "bbox_to_anchor": (1, 0.93)}
            ax.legend([bars[region]], ["no expert is right"], frameon=False, **place)

    def _plot_members(self, ax, members):
        for e in range(0, members.shape[1], 2):
            ax.axhspan(e - 0.5, e + 0.5, color=LIGHT, zorder=0)
        for right, color in ((False, "0.82"), (True, DARK)):
            region, expert = np.nonzero(members == right)
            ax.scatter(region, expert, s=40, color=color, zorder=3)
        for region, row in enumerate(members):
            if row.any():
                rows = np.flatnonzero(row)
                ax.plot([region, region], [rows[0], rows[-1]], color=DARK, zorder=2)
            else:
                # Dots of the region where no expert is right, in the colour of its bar.
                dots = np.arange(len(row))
                ax.scatter(
                    np.full(len(row), region), dots, s=40, zorder=4,
                    facecolor="white", edgecolor=RED,
                )  # fmt: skip
        ax.set_yticks(np.arange(members.shape[1]), short_names(self.counts.index.names))
        ax.set_ylim(members.shape[1] - 0.5, -0.5)
        ax.tick_params(left=False, bottom=False, labelbottom=False)
        ax.spines[:].set_visible(False)

    def _plot_accuracies(self, ax):
        members = np.array(self.counts.index.tolist(), bool)
        accuracies = self.counts.to_numpy() @ members / self.counts.sum()
        bars = ax.barh(np.arange(len(accuracies)), accuracies, color=MIDDLE, height=0.6)
        ax.bar_label(bars, fmt="{:.2f}", fontsize="small", padding=2)
        ax.set(xlim=(0, 1), xticks=[])
        ax.set_title("Accuracy", fontsize="medium")
        ax.tick_params(left=False, labelleft=False)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
