"""Accuracy against cost: cascades, prefixes of the backbones by cost, and forward selection."""

import numpy as np
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble, ZeroShotHead
from skclipens.cascade import BackboneSelector, CascadeEnsemble
from skclipens.inspection import AccuracyCostDisplay

from .._machine import markdown_of
from ._embedding import blocks_of
from ._experiments import mean_sd, sections, table
from ._figures import panels
from ._systems import PAPER_NLC

DROPS = (0.0, 0.005, 0.01, 0.02)
BUDGETS = (0.25, 0.5, 0.75)  # of the cost of all backbones
ZERO_SHOT = "zero-shot head"
TARGET = "drop 0.5"
TOLERANCE, HALF = 0.5, 50.0  # points, and % of the cost of all backbones
DEFAULT, NLC = "all experts, shrunk (default)", "zero-shot heads, NLC (paper)"
_NOTE = (
    "Costs are GFLOPs of the image towers per image (`list_backbones()`); combining is not "
    "counted. Backbones by cost: {costs}; all: {total:.4g}. {shots} training images per class at "
    "most. Thresholds are chosen by {cv}-fold cross-validation on the training images, and so is "
    "the order of selection, in which a forward selection with static weights adds backbones."
)


def run(dataset, backbones, draws, *, shots=16, cv=3, cost="gflops"):
    """Return test accuracy and mean cost of an image, per system, setting and draw.

    Parameters
    ----------
    dataset : ImageSet
    backbones : list of str
    draws : Draws
    cost : "gflops" or mapping from backbones to numbers
        See :class:`skclipens.cascade.CascadeEnsemble`.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, draw, shots, cv, system, order ("cost" or "selection"), kind ("full",
        "prefix", "cascade" or "backbone"), setting (a number of backbones, a target, or the name
        of a backbone), backbones, threshold, accuracy, cost, total_cost, full_accuracy.
    """
    y = np.asarray(dataset.y)
    X = draws.embed(dataset, backbones)
    blocks, prompts = list(blocks_of(backbones).items()), dataset.prompts

    def run_draw(draw, train, test):
        shared = {"cost": cost, "random_state": draw}
        selected = _order_of_selection(X[train], y[train], blocks, prompts, shared)
        rows = []
        for name, estimator in _systems(draw, prompts).items():
            for order, given in (("cost", blocks), ("selection", selected)):
                cascade = CascadeEnsemble(
                    given,
                    estimator=estimator,
                    order="cost" if order == "cost" else "given",
                    cv=cv,
                    **shared,
                ).fit(X[train], y[train])
                found = _judge_cascade(cascade, X[test], y[test])
                rows += [{"system": name, "order": order, **row} for row in found]
        return rows + list(_judge_backbones(cascade, X, y, train, test, blocks, prompts, draw))

    frame = draws.run(run_draw, "cascade", dataset, backbones, shots, cv, cost)
    return frame.assign(cv=cv)


def _systems(draw, prompts):
    zero_shot = {"head": "zero-shot", **prompts}
    return {
        DEFAULT: AdaptiveBackboneEnsemble(random_state=draw, **prompts),
        NLC: AdaptiveBackboneEnsemble(random_state=draw, **zero_shot, **PAPER_NLC),
        "zero-shot heads, calibrated logit average": AdaptiveBackboneEnsemble(
            router="uniform", **zero_shot
        ),
        "zero-shot heads, logit average": AdaptiveBackboneEnsemble(
            router="uniform", calibrate=False, **zero_shot
        ),
    }


def _judge_cascade(cascade, X, y):
    """Yield results of all backbones, the cheapest k of them, and the cascade at each target."""
    names, costs = cascade.block_names_, cascade.block_costs_
    columns = np.concatenate(cascade._columns)
    ends = np.cumsum([len(one) for one in cascade._columns])
    scores = [
        float(clf.score(X[:, columns[:end]], y))
        for clf, end in zip(cascade.estimators_, ends, strict=True)
    ]
    known = {"total_cost": costs.sum(), "full_accuracy": scores[-1]}
    for k, score in enumerate(scores, start=1):
        yield {
            "kind": "full" if k == len(names) else "prefix",
            "setting": str(k),
            "backbones": ", ".join(names[:k]),
            "accuracy": score,
            "cost": costs[:k].sum(),
            **known,
        }
    if len(names) > 1:
        for setting, threshold in _thresholds(cascade):
            cascade.thresholds_ = np.full(len(names) - 1, threshold)
            found = cascade.predict_with_cost(X)
            yield {
                "kind": "cascade",
                "setting": setting,
                "threshold": threshold,
                "accuracy": float(np.mean(found.labels == y)),
                "cost": found.cost.mean(),
                **known,
            }


def _thresholds(cascade):
    """Yield the threshold of each target on held-out rows; fitting again would give the same."""
    curve = pd.DataFrame(cascade.curve_)
    full = curve["accuracy"].iloc[-1]
    for drop in DROPS:
        # No threshold above the chosen one loses more.
        enough = curve["accuracy"] >= full - drop - 1e-12
        stays_enough = enough[::-1].cummin()[::-1]
        yield f"drop {100 * drop:g}", curve["threshold"][stays_enough.idxmax()]
    for share in BUDGETS:
        affordable = curve[curve["cost"] <= share * cascade.block_costs_.sum()]
        if len(affordable):
            yield f"budget {share:.0%}", affordable["threshold"][affordable["accuracy"].idxmax()]


def _judge_backbones(cascade, X, y, train, test, blocks, prompts, draw):
    """Yield results of each backbone alone: its zero-shot head, and the default's experts on it."""
    costs = dict(zip(cascade.block_names_, cascade.block_costs_, strict=True))
    for name, columns in blocks:
        alone = {
            ZERO_SHOT: ZeroShotHead(name, **prompts),
            DEFAULT: AdaptiveBackboneEnsemble(name, random_state=draw, **prompts),
        }
        for system, clf in alone.items():
            clf.fit(X[train, columns], y[train])
            yield {
                "system": system,
                "kind": "backbone",
                "setting": name,
                "backbones": name,
                "accuracy": float(clf.score(X[test, columns], y[test])),
                "cost": costs[name],
                "total_cost": sum(costs.values()),
            }


def _order_of_selection(X, y, blocks, prompts, shared):
    """Return the blocks in the order in which forward selection on training images adds them."""
    static = AdaptiveBackboneEnsemble(
        head="zero-shot", router="static", random_state=shared["random_state"], **prompts
    )
    selector = BackboneSelector(blocks, estimator=static, cv=3, **shared).fit(X, y)
    return [(name, dict(blocks)[name]) for name in selector.path_["block"]]


def report(frame):
    """Return Markdown: cascades, whether they keep full accuracy at half the cost, and curves."""
    return sections(frame, "Cascades and selection: accuracy against cost", _write)


def draw(frame):
    """Draw accuracy against cost, a panel for each set; return a caption."""
    names = frame["dataset"].unique()
    figure, axes = panels(len(names), 5.5, 4.2)
    for name, ax in zip(names, axes):
        rows = frame[frame["dataset"] == name]
        alone = rows[(rows["kind"] == "backbone") & (rows["system"] == DEFAULT)]
        points = alone.groupby("setting")[["cost", "accuracy"]].mean()
        lines = {}
        for short, system in (("default", DEFAULT), ("zero-shot NLC", NLC)):
            of_system = rows[(rows["system"] == system) & (rows["order"] == "cost")]
            for label, kinds in (("cheapest k", ["prefix", "full"]), ("cascade", ["cascade"])):
                some = of_system[of_system["kind"].isin(kinds)]
                means = some.groupby("setting")[["cost", "accuracy"]].mean().sort_values("cost")
                lines[f"{label}, {short}"] = means["cost"], means["accuracy"]
        AccuracyCostDisplay.from_predictions(
            points.index, points["cost"], points["accuracy"], lines=lines,
            cost_label="GFLOPs per image", ax=ax,
        )  # fmt: skip
        ax.set_title(name)
        handles, labels = ax.get_legend_handles_labels()
        ax.get_legend().remove()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure, (
        "Accuracy against cost, means over draws. Points: the default's experts on one backbone; "
        "lines: the cheapest k backbones for all images, and cascades at the targets above."
    )


def _write(rows):
    singles = rows[rows["kind"] == "backbone"].sort_values("cost", kind="stable")
    costs = singles.groupby("setting", sort=False)["cost"].first()
    note = _NOTE.format(
        costs=", ".join(f"{name} {cost:.4g}" for name, cost in costs.items()),
        total=costs.sum(),
        shots=rows["shots"].iloc[0],
        cv=rows["cv"].iloc[0],
    )
    cascades = rows[rows["kind"].isin(["full", "cascade"])]
    parts = [note, _half_cost(rows)]
    for order, group in cascades.groupby("order", sort=False):
        parts += [
            f"Cascades in the order of {order}; the target is an accuracy drop in points, or a "
            "mean budget as a share of all:",
            _table(group, "setting"),
        ]
    return [
        *parts,
        "Each backbone alone, by its zero-shot head and by the default's experts on it:",
        _table(singles, "setting"),
        "The first k backbones, for all images: accuracy in %, then GFLOPs.",
        _curves(rows),
        _cheapest_four(rows, singles),
    ]


def _table(rows, setting):
    """Return accuracy, its loss against all backbones, and cost: mean ± standard deviation."""
    lines = []
    for (system, name), group in rows.groupby(["system", setting], sort=False):
        label = "all backbones" if (group["kind"] == "full").all() else name
        share = group["cost"] / group["total_cost"]
        loss = group["full_accuracy"] - group["accuracy"]
        lines.append(
            {
                "system": system,
                setting: label,
                "accuracy, %": _cell(100 * group["accuracy"]),
                "loss, points": _cell(100 * loss) if loss.notna().all() else "",
                "GFLOPs per image": _cell(group["cost"], 4),
                "share of all, %": _cell(100 * share),
            }
        )
    found = pd.DataFrame(lines).set_index("system")
    order = list(dict.fromkeys(found.index))
    return markdown_of(found.sort_index(key=lambda names: names.map(order.index), kind="stable"))


def _cell(values, digits=1):
    return mean_sd(values.mean(), values.std(), digits)


def _half_cost(rows):
    """Return whether the cascade loses at most half a point at half the cost."""
    lines = [
        "Does the cascade keep the accuracy of all backbones within half a point at no more than "
        f"half of the GFLOPs, in the mean over draws? With the target {TARGET!r}; whether another "
        "target does is hindsight.",
        "",
    ]
    cascades = rows[rows["kind"] == "cascade"]
    cascades = cascades.assign(
        loss=100 * (cascades["full_accuracy"] - cascades["accuracy"]),
        share=100 * cascades["cost"] / cascades["total_cost"],
    )
    for (system, order), group in cascades.groupby(["system", "order"], sort=False):
        means = group.groupby("setting", sort=False)[["loss", "share"]].mean()
        within = (means["loss"] <= TOLERANCE + 1e-9) & (means["share"] <= HALF)
        at = group[group["setting"] == TARGET]
        targets = ", ".join(means.index[within]) or "none"
        lines.append(
            f"- {system}, order of {order}: **{'yes' if within[TARGET] else 'no'}**, "
            f"{_cell(at['loss'])} points lost at {_cell(at['share'])} % of the GFLOPs "
            f"(targets that do: {targets})"
        )
    return "\n".join(lines)


def _curves(rows):
    curves = rows[rows["kind"].isin(["prefix", "full"])]
    first = "by " + curves["order"] + ": "
    curves = curves.assign(curve=first + curves["system"], cost_curve=first + "GFLOPs")
    curves = curves.rename(columns={"setting": "backbones used"})
    accuracy = table(curves, "curve", "backbones used")
    cost = table(curves, "cost_curve", "backbones used", "cost", scale=1, digits=4)
    return accuracy + "\n" + "\n".join(cost.split("\n")[2:])


def _cheapest_four(rows, singles):
    """Check the paper's claim that the four cheapest backbones beat the best single one."""
    four = rows[rows["kind"].isin(["prefix", "full"]) & (rows["setting"] == "4")]
    four = four[four["order"] == "cost"]
    if four.empty:
        return "There are fewer than four backbones."
    lines = ["The four cheapest backbones minus the best single one (chosen with hindsight):", ""]
    for system, group in four.groupby("system", sort=False):
        alone = singles[singles["system"] == (DEFAULT if system == DEFAULT else ZERO_SHOT)]
        best = alone.groupby("setting")["accuracy"].mean().idxmax()
        of_best = alone[alone["setting"] == best].set_index("draw")
        group = group.set_index("draw")
        gain = 100 * (group["accuracy"] - of_best["accuracy"])
        costs = group["cost"].mean(), of_best["cost"].mean()
        lines.append(
            f"- {system}: {_cell(gain)} points, at {costs[0]:.4g} GFLOPs against {costs[1]:.4g} "
            f"of {best}"
        )
    return "\n".join(lines)
