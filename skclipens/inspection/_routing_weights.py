"""Plot the mean routing weights of the experts for each class."""

from itertools import compress

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from .._utils._docstrings import fill_doc
from .._utils._linalg import some_of
from .._utils._one_column import refuse_no_column
from .._utils._sample_arguments import warn_of_other_order
from .._utils._warnings import each_warning_once
from .._utils._weights_and_groups import check_weights
from ..metrics._checks import check_expert_names, check_truth
from ._display import split_ensemble, start_plot
from ._style import BLUE, SEQUENTIAL, short_names

_SAME = 1e-6  # shares that differ by no more are the same


class RoutingWeightsDisplay:
    """Mean share of the routing weight that each expert gets, for the rows of each class.

    The share of an expert for a row is its weight divided by the sum of the absolute weights of all
    experts. It is negative if the logits of the expert are subtracted. A share does not say how
    often an expert decides the prediction: of two experts with the same weight, the one with larger
    logits decides more often. If the shares are the same for all classes, as those of a router with
    one weight per expert, the plot has one bar per expert instead of a heat map with equal rows. A
    class of which all rows have weight 0 is left out.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    shares : ndarray of shape (n_classes, E)
        Mean shares. A row sums to 1 if no weight is negative.
    labels : sequence of n_classes labels
        The class of each row.
    expert_names : sequence of E str
        The expert of each column.

    Attributes
    ----------
    im_ : matplotlib AxesImage or None
        The heat map.
    bars_ : matplotlib BarContainer or None
        The bars, if the shares are the same for all classes.
    text_ : list of matplotlib Text
        The values in the cells or at the bars, if they are shown.
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    CorrectSetsDisplay : Which experts are right together.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens import AdaptiveBackboneEnsemble
    >>> from skclipens.inspection import RoutingWeightsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> display = RoutingWeightsDisplay.from_estimator(clf, X, y)
    >>> display.shares.shape
    (3, 2)
    """

    def __init__(self, shares, *, labels, expert_names):
        self.shares = shares
        self.labels = labels
        self.expert_names = expert_names

    @classmethod
    @each_warning_once()
    @fill_doc
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        sample_weight=None,
        display_labels=None,
        ax=None,
        include_values="auto",
        cmap=SEQUENTIAL,
    ):
        """Plot the routing weights of a fitted ensemble, which has ``routing_weights``.

        Rows are grouped by `y`: predicted labels can be given instead of the true ones.

        Parameters
        ----------
        %(to_plot)s
        %(weights_of_rows)s
        display_labels : sequence of n_classes str, default=None
            Names of the sorted labels in `y`. None: the labels.
        %(ax)s
        %(cells)s

        Returns
        -------
        RoutingWeightsDisplay
            The display, which is drawn.

        Raises
        ------
        %(raises_of_plots)s

        Warns
        -----
        SuspectedMistakeWarning
            If labels of `y` seem to be exchanged, or `y` or weights are in another order than X.
        """
        ensemble, X = split_ensemble(
            estimator, X, y, "routing_weights", sample_weight=sample_weight
        )
        return cls.from_predictions(
            y,
            ensemble.routing_weights(X),
            expert_names=ensemble.expert_names_,
            sample_weight=sample_weight,
            display_labels=display_labels,
            ax=ax,
            include_values=include_values,
            cmap=cmap,
        )

    @classmethod
    @fill_doc
    def from_predictions(
        cls,
        y_true,
        routing_weights,
        *,
        expert_names=None,
        sample_weight=None,
        display_labels=None,
        ax=None,
        include_values="auto",
        cmap=SEQUENTIAL,
    ):
        """Plot given routing weights.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels, by which rows are grouped. Predicted labels can be given instead.
        routing_weights : array-like of shape (n, E)
            Weight of each expert for each row. A row of zeros has shares of 0.
        %(names_of_experts)s
        %(weights_of_rows)s
        display_labels : sequence of n_classes str, default=None
            Names of the sorted labels in `y_true`. None: the labels.
        %(ax)s
        %(cells)s

        Returns
        -------
        RoutingWeightsDisplay
            The display, which is drawn.

        Raises
        ------
        ValueError
            If shapes do not fit together, a row has no label, or names are a set.

        Warns
        -----
        SuspectedMistakeWarning
            If y_true and routing_weights have the same index in another order.
        """
        given = {"y_true": y_true, "sample_weight": sample_weight}
        warn_of_other_order(routing_weights, name_of_X="routing_weights", **given)
        y_true = check_truth(y_true, [-1])
        weights = check_array(routing_weights, dtype=float, input_name="routing_weights")
        check_consistent_length(y_true, weights)
        labels, means = _mean_shares(y_true, weights, check_weights(sample_weight, len(weights)))
        if display_labels is not None:
            refuse_no_column(display_labels, "display_labels", of="label in y_true")
            of_rows = np.unique(y_true)  # also of rows of weight 0
            if len(display_labels) != len(of_rows):
                raise ValueError(
                    f"display_labels has {len(display_labels)} entries. Give {len(of_rows)}, one "
                    "for each label in y_true, in order."
                )
            given = [*map(str, display_labels)]
            if sorted(given) == sorted(map(str, of_rows)) and given != [*map(str, of_rows)]:
                raise ValueError(
                    "display_labels has the labels of y_true in another order, and it is the text "
                    "for each of them in ascending order. Leave it out, or sort it."
                )
            labels = compress(display_labels, np.isin(of_rows, labels))
        names = check_expert_names(routing_weights, expert_names)
        display = cls(means, labels=list(labels), expert_names=names)
        return display.plot(ax=ax, include_values=include_values, cmap=cmap)

    @fill_doc
    def plot(self, *, ax=None, include_values="auto", cmap=SEQUENTIAL):
        """Plot the heat map, or bars if all of its rows would be equal.

        Parameters
        ----------
        %(ax)s
        %(cells)s

        Returns
        -------
        RoutingWeightsDisplay
            This object.
        """
        self.im_ = self.bars_ = None
        show = np.size(self.shares) <= 200 if include_values == "auto" else include_values
        if len(self.shares) > 1 and np.ptp(self.shares, axis=0).max() < _SAME:
            return self._plot_bars(ax, show if include_values != "auto" else True)
        n_classes, n_experts = np.shape(self.shares)
        ax = start_plot(self, ax, (3 + 0.55 * n_experts, max(2 + 0.25 * n_classes, 3.6)))
        self.im_ = ax.imshow(
            self.shares, cmap=cmap, vmin=min(0, np.min(self.shares)), aspect="auto"
        )
        self.figure_.colorbar(self.im_, ax=ax, label="Mean share of routing weight")
        ax.set(xticks=np.arange(n_experts), yticks=np.arange(n_classes), ylabel="Class")
        ax.set_xticklabels(
            short_names(self.expert_names), rotation=45, ha="right", rotation_mode="anchor"
        )
        ax.set_yticklabels(self.labels)
        self.text_ = self._write_values(ax) if show else []
        return self

    def _plot_bars(self, ax, show):
        """Plot one bar per expert, of shares that are the same for all classes."""
        shares, at = self.shares[0], np.arange(len(self.shares[0]))
        ax = start_plot(self, ax, (6, 1.3 + 0.3 * len(shares)))
        self.bars_ = ax.barh(at, shares, color=BLUE, height=0.7)
        ax.set_yticks(at, short_names(self.expert_names))
        ax.invert_yaxis()
        ax.set(xlabel="Share of routing weight", title="The same weights for all images")
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.12)
        texts = ax.bar_label(self.bars_, fmt="{:.2f}", fontsize="small", padding=3) if show else []
        self.text_ = list(texts)
        return self

    def _write_values(self, ax):
        dark = self.shares < sum(self.im_.get_clim()) / 2
        low, high = self.im_.cmap(0.0), self.im_.cmap(1.0)
        return [
            ax.text(
                e, c, f"{self.shares[c, e]:.2f}".lstrip("0"), ha="center", va="center",
                fontsize="small", color=high if dark[c, e] else low,
            )
            for c, e in np.ndindex(self.shares.shape)
        ]  # fmt: skip


def _mean_shares(y_true, weights, sample_weight):
    """Return the sorted labels, and the mean share of each expert for the rows of each label."""
    if sample_weight is not None:  # rows of weight 0 are ignored
        some = sample_weight > 0
        y_true, weights, sample_weight = y_true[some], weights[some], sample_weight[some]
    total = np.abs(weights).sum(axis=1, keepdims=True)
    shares = weights / np.where(total > 0, total, 1)
    labels, codes = np.unique(y_true, return_inverse=True)
    of_classes = [codes == c for c in range(len(labels))]
    means = [
        np.average(shares[one], axis=0, weights=some_of(sample_weight, one)) for one in of_classes
    ]
    return labels, np.stack(means)
