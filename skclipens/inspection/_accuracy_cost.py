"""Plot accuracy against cost."""

from collections import Counter

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .._utils._docstrings import fill_doc
from .._utils._labels import column_of_labels
from .._utils._one_column import refuse_no_column
from .._utils._sample_arguments import warn_of_names_in_other_order, warn_of_other_order
from .._utils._validation import check_cost
from .._utils._warnings import each_warning_once
from .._utils._weights_and_groups import check_weights
from ..backbones import list_backbones
from ..backbones._blocks import columns_of
from ..ensemble._experts import distinct_blocks
from ..metrics import oracle_accuracy_score
from ._display import annotate_points, expert_logits, split_ensemble, start_plot
from ._style import DARK, MIDDLE, short_names

_ROUNDING = 1e-9  # of means of correct rows


@fill_doc
class AccuracyCostDisplay:
    """Accuracy of backbones and ensembles against their cost.

    Each backbone is a point. Ensembles of growing size, or cascades with several thresholds, are
    lines. A line with a single value is drawn as a star.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    %(points_and_lines)s

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The points.
    lines_ : list of matplotlib Line2D
        The lines.
    oracle_ : matplotlib Line2D or None
        The line of the oracle.
    text_ : list of matplotlib Annotation
        The names of the points, if they are shown.
    ax_ : matplotlib Axes
        Axes with the points and lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skclipens.list_backbones : Costs of backbones.

    Examples
    --------
    >>> from skclipens.inspection import AccuracyCostDisplay
    >>> display = AccuracyCostDisplay.from_predictions(
    ...     ["RN50", "ViT-B-32", "ViT-L-14"],
    ...     [12.2, 8.8, 162.0],
    ...     [0.59, 0.62, 0.75],
    ...     lines={"logit average": ([8.8, 21.0, 183.0], [0.62, 0.66, 0.75])},
    ...     cost_label="GFLOPs per image",
    ... )
    >>> display.ax_.get_xscale()
    'log'
    """

    def __init__(self, names, costs, accuracies, *, lines=None, cost_label="Cost", oracle=None):
        self.names = names
        self.costs = costs
        self.accuracies = accuracies
        self.lines = lines
        self.cost_label = cost_label
        self.oracle = oracle

    @classmethod
    @each_warning_once()
    @fill_doc
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        costs=None,
        cost_label=None,
        sample_weight=None,
        name=None,
        annotate="auto",
        ax=None,
    ):
        """Plot the backbones of a fitted ensemble, their averages, and the ensemble.

        A point is the average of the calibrated logits of a backbone's own experts. The line is the
        average over the cheapest backbone, the two cheapest, and so on. A backbone that embeds
        several columns of images is one point for each of them. The star is the ensemble,
        which also has the experts on all columns, and needs every backbone that an expert reads.
        The dotted line is the oracle, which is right for a row if any of the points is; see
        :func:`skclipens.metrics.oracle_accuracy_score`. Costs are those of embedding an image;
        heads and router count as free.

        Parameters
        ----------
        %(to_plot)s
        costs : dict of str to float, default=None
            Costs by names of blocks, or of experts. None: the GFLOPs per image of the backbones
            that :func:`skclipens.list_backbones` lists; columns beside embeddings are free if the
            ensemble took its blocks from the names of columns.
        cost_label : str, default=None
            Label of the axis of costs. None: "GFLOPs per image" if `costs` is None, otherwise
            "Cost".
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        name : str, default=None
            Name of the ensemble in the legend. None: the name of its class.
        %(annotate)s
        %(ax)s

        Returns
        -------
        AccuracyCostDisplay
            The display, which is drawn.

        Raises
        ------
        %(raises_of_plots)s
        ValueError
            If an expert has no cost, or a negative one, or all experts read several backbones.

        Warns
        -----
        %(warns_of_plots)s
        """
        ensemble, X = split_ensemble(estimator, X, y, sample_weight=sample_weight)
        y = column_of_labels(y)
        sample_weight = check_weights(sample_weight, len(y))
        cost_label = cost_label or ("GFLOPs per image" if costs is None else "Cost")
        costs = _known_costs(ensemble, costs)
        members = _experts_of_blocks(ensemble, costs)
        price_of = {block: check_cost(entry, costs[entry]) for block, (entry, _) in members.items()}
        total = sum(price_of.values())
        blocks = sorted(_with_experts(members), key=price_of.__getitem__)
        logits = expert_logits(ensemble, X)

        def predicted(chosen):
            experts = [e for block in chosen for e in members[block][1]]
            return ensemble.classes_[logits[:, experts].mean(axis=1).argmax(axis=1)]

        def accuracy(labels):
            return accuracy_score(y, labels, sample_weight=sample_weight)

        prices = np.array([price_of[block] for block in blocks])
        single = np.stack([predicted([block]) for block in blocks], axis=1)
        prefixes = [accuracy(predicted(blocks[: k + 1])) for k in range(len(blocks))]
        return cls.from_predictions(
            blocks,
            prices,
            [accuracy(labels) for labels in single.T],
            lines={
                "Logit average of the cheapest": (np.cumsum(prices), prefixes),
                name or type(ensemble).__name__: ([total], [accuracy(ensemble.predict(X))]),
            },
            cost_label=cost_label,
            oracle=oracle_accuracy_score(y, single, sample_weight=sample_weight),
            annotate=annotate,
            ax=ax,
        )

    @classmethod
    @fill_doc
    def from_predictions(
        cls,
        names,
        costs,
        accuracies,
        *,
        lines=None,
        cost_label="Cost",
        oracle=None,
        annotate="auto",
        ax=None,
    ):
        """Plot given costs and accuracies.

        Parameters
        ----------
        %(points_and_lines)s
        %(annotate)s
        %(ax)s

        Returns
        -------
        AccuracyCostDisplay
            The display, which is drawn.

        Raises
        ------
        ValueError
            If lengths differ, a cost is negative, or an accuracy is no fraction from 0 to 1.

        Warns
        -----
        SuspectedMistakeWarning
            If costs, accuracies or names have the same index in another order, or names are such
            an index in another order.
        """
        refuse_no_column(names, "names", of="point")
        warn_of_other_order(costs, name_of_X="costs", accuracies=accuracies, names=names)
        if lines is not None and not hasattr(lines, "items"):
            raise TypeError(f"lines is a dict from labels; got {type(lines).__name__}.")
        for label, of_line in (lines or {}).items():
            if len(of_line) != 2:
                raise ValueError(
                    f"lines[{label!r}] must be (costs, accuracies); got {len(of_line)} values."
                )
            of_costs, of_accuracies = of_line
            warn_of_other_order(of_costs, name_of_X="costs", accuracies=of_accuracies)
        warn_of_names_in_other_order(names, costs=costs, accuracies=accuracies)
        names = list(names)
        costs, accuracies = _check_pair(costs, accuracies, "costs", "accuracies")
        check_consistent_length(names, costs)
        lines = {
            label: _check_pair(*line, f"costs of line {label!r}", f"accuracies of line {label!r}")
            for label, line in (lines or {}).items()
        }
        if oracle is not None:
            _refuse_no_fractions(np.array([oracle], dtype=float), "oracle")
        display = cls(names, costs, accuracies, lines=lines, cost_label=cost_label, oracle=oracle)
        return display.plot(annotate=annotate, ax=ax)

    @fill_doc
    def plot(self, *, annotate="auto", ax=None):
        """Plot points and lines.

        The axis of costs is logarithmic if they differ by a factor of more than 10.

        Parameters
        ----------
        %(annotate)s
        %(ax)s

        Returns
        -------
        AccuracyCostDisplay
            This object.
        """
        from matplotlib.ticker import LogLocator

        ax = start_plot(self, ax, (7, 4.8))
        self.points_ = ax.scatter(self.costs, self.accuracies, color=DARK, label="Backbones")
        self.lines_ = []
        for label, (costs, accuracies) in (self.lines or {}).items():
            style = dict(marker="*", markersize=14, linestyle="") if len(costs) == 1 else {}
            self.lines_ += ax.plot(costs, accuracies, **{"marker": ".", "label": label, **style})
        every = np.concatenate([self.costs, *(line.get_xdata() for line in self.lines_)])
        if every.min() > 0 and every.max() > 10 * every.min():
            ax.set_xscale("log", subs=())
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
        ax.margins(0.1)
        self.oracle_ = None
        if self.oracle is not None:
            style = {"color": MIDDLE, "linestyle": ":", "label": "Oracle: any backbone is right"}
            self.oracle_ = ax.axhline(self.oracle, **style)
        ax.set(xlabel=self.cost_label, ylabel="Accuracy")
        ax.grid(alpha=0.3)
        if self.lines_ or self.oracle_:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
        points = self.costs, self.accuracies, short_names(self.names)
        self.text_ = annotate_points(ax, *points, annotate)
        return self


def _known_costs(ensemble, costs):
    """Return costs by names; by default those of the listed backbones."""
    if costs is None:
        costs = list_backbones()["gflops"].to_dict()
        if getattr(ensemble, "blocks", None) is None:
            costs["other"] = 0.0  # what find_blocks calls the columns that no model makes
    if not hasattr(costs, "keys"):
        raise TypeError(
            f"costs is a {type(costs).__name__}. Give a dict with the cost of each block, such "
            "as list_backbones()['gflops'].to_dict()."
        )
    return costs


def _experts_of_blocks(ensemble, costs):
    """Return the entry in `costs` and the experts of each block, without those on several blocks.

    Blocks of one backbone that are of the same images, as with pooled features or views, count as
    one, with the highest of their costs. Those that only experts on several blocks read have no
    experts.
    """
    members, priced, joined = {}, [], []

    def add(block, entry, experts):
        source = block.source if entry in (block.name, block.backbone) else entry
        entries, of_source = members.setdefault(source, ([], []))
        entries.append((_prefix(block, entry), entry))
        of_source.extend(experts)

    for e, expert in enumerate(ensemble.experts_):
        block = _priced_block(expert.block)
        entry = _priced_name(block, costs, expert.name)
        if entry is not None:
            add(block, entry, [e])
            priced.append(expert.block)
        elif expert.block.parts:
            joined.append(expert)
        elif len(expert.block.columns) < ensemble.n_features_in_:
            raise _no_entry("expert", expert.name, expert.block, "name its block, or the expert")
    for block in distinct_blocks(joined):
        if np.isin(block.columns, columns_of(priced)).all():
            continue
        entry = _priced_name(block, costs)
        if entry is None:
            raise _no_entry("block", block.name, block, "name it")
        add(block, entry, [])
    if not members:
        raise ValueError("costs has no entry for any expert; name their blocks.")
    dearest = [
        (*max(entries, key=lambda one: check_cost(one[1], costs[one[1]])), experts)
        for entries, experts in members.values()
    ]
    n_blocks = Counter(entry for _, entry, _ in dearest)
    return {
        (entry if n_blocks[entry] == 1 else prefix + entry): (entry, experts)
        for prefix, entry, experts in dearest
    }


def _with_experts(members):
    """Return the blocks that have experts of their own."""
    own = [block for block, (_, experts) in members.items() if experts]
    if not own:
        raise ValueError(
            "No block has an expert of its own, so there is no backbone to compare: all heads read "
            "several blocks."
        )
    return own


def _no_entry(kind, name, block, advice):
    return ValueError(
        f"costs has no entry for {kind} {name!r}; {advice}, as in "
        f"costs={{**list_backbones()['gflops'], {block.name!r}: 1.5}}."
    )


def _priced_block(block):
    """Return the part whose backbone has the cost of all parts, if these are of one backbone."""
    if block.only_backbone is None:
        return block
    return max(block.members, key=lambda part: part.kind.views)


def _prefix(block, entry):
    """Return what is before the backbone in the name of a block, such as a column of images."""
    return block.name.removesuffix(block.kind.name) if entry == block.backbone else ""


def _priced_name(block, costs, *names):
    """Return a key in `costs`: one of the names, that of the block, its backbone, or None."""
    names = [*names, block.name]
    if block.kind is not None and not block.kind.views:  # the number of views is unknown
        names.append(block.backbone)
    return next((name for name in names if name in costs), None)


def _check_pair(costs, accuracies, name_costs, name_accuracies):
    for values, name in ((costs, name_costs), (accuracies, name_accuracies)):
        if np.ndim(values) == 0:
            raise ValueError(
                f"{name} must be a list of numbers, one for each point; got {values!r}."
            )
    pair = [
        column_or_1d(check_array(values, ensure_2d=False, dtype=float, input_name=name))
        for values, name in ((costs, name_costs), (accuracies, name_accuracies))
    ]
    if len(pair[0]) != len(pair[1]):
        raise ValueError(
            f"There are {len(pair[0])} {name_costs}, but {len(pair[1])} {name_accuracies}."
        )
    if (wrong := pair[0][pair[0] < 0]).size:
        raise ValueError(f"{name_costs} has {wrong[0]:g}, and costs are at least 0.")
    _refuse_no_fractions(pair[1], name_accuracies)
    return pair


def _refuse_no_fractions(accuracies, name):
    if (wrong := accuracies[~((accuracies >= 0) & (accuracies <= 1 + _ROUNDING))]).size:
        raise ValueError(
            f"{name} has {wrong[0]:g}, and is made of fractions, from 0 to 1. Divide percentages "
            "by 100."
        )
