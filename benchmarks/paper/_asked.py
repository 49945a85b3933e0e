"""Tables of the default: its gains, its losses, and the achievable gain.

The first line of each table is its conclusion.
"""

import numpy as np
import pandas as pd

from skclipens.model_selection._intervals import N_REPLICATES

from .._machine import markdown_of
from . import _checks, _differences
from ._differences import ANY, NOT_WORSE, OPEN, OWN, WORSE
from ._systems import BESIDE, FORMER, IMAGE_EMBEDDINGS

INTERVALS = f"""\
Differences are in points, over the draws that both have, with the 95 % interval of a bootstrap that
draws test images and draws again, both with replacement ({N_REPLICATES} times; images are matched
over draws; of one draw, over images only). **Not worse**: the lower end is above -0.5 points.
Worse: not so, and the upper end is below 0. Open: neither. Cells that are not "not worse" are in
bold. Perturbed copies of a set are shown, but are not counted as sets. Intervals of means over sets
hold the sets fixed."""
NOTE = f"""\
The default's accuracy minus the other's; all comparisons are in `differences.csv`.
{INTERVALS}"""


_OTHER_DEFAULTS = {
    FORMER: """\
The former default had the same router on residual heads and a linear one on all columns, and at one
shot the same constants whatever the rows say: corrections divided by 0.5, and logits that no row
can judge put 0.3 apart.""",
    IMAGE_EMBEDDINGS: """\
The same without pooled features, as where ``features="projected"``.""",
}


_GAINS = """\
Means over sets; a share is mean gain over mean headroom. For diagnosis only: routers (static
weights, gates of three strengths) and stackers (logistic regression on all logits, three C) are
cross-fitted on the labelled test pool with all experts frozen, in some of the draws, and the best
of them is taken. They have many more labels than the shots. The oracles are of the experts on one
backbone. Permuted rows: what the oracle credits to predictions that know nothing. Independent
mistakes: the oracle of experts of these accuracies whose mistakes have nothing in common. Each set:
`headroom.csv`."""


def section(results, compared):
    """Return Markdown: the comparisons of the default."""
    if compared.empty:
        return ""
    head = _differences.main_head(results)
    own = compared[compared["head"] == head]
    parts = [f"## What is asked of the default (head {head})", NOTE]
    for other, title in ((OWN, "under its own heads"), (ANY, "under any head")):
        parts += _best_single(own[own["other"] == other], title)
    for other in BESIDE:
        parts += _other_default(own[own["other"] == other], other)
    parts += _all_others(own[~own["other"].isin(BESIDE)])
    parts += _other_heads(compared)
    parts += _worse_than_own(results, compared)
    parts += _gains(results)
    return "\n\n".join(parts)


def per_set(results, compared):
    """Return Markdown: the differences of each set."""
    parts = ["# Differences of the default to every other system, for each set", NOTE]
    if len(compared):
        own = compared[compared["head"] == _differences.main_head(results)]
        for name, rows in own.groupby("set", sort=False):
            parts += [f"## {name}", _conclusion(rows), _table(rows, "other")]
    return "\n\n".join(parts) + "\n"


def _points(row):
    """Format ``+1.2 [0.4, 2.0]``, in bold if it is not "not worse"."""
    low, high = (f"{100 * row[end] + 0.0:.1f}" for end in ("low", "high"))
    text = f"{100 * row['difference']:+.1f} [{low}, {high}]"
    return text if row["verdict"] == NOT_WORSE else f"**{text}**"


def _table(rows, index):
    cells = rows.assign(text=[_points(row) for _, row in rows.iterrows()])
    orders = [list(dict.fromkeys(rows[name])) for name in (index, "shots")]
    table = cells.pivot(index=index, columns="shots", values="text")
    return markdown_of(table.reindex(index=orders[0], columns=orders[1]).fillna("n/a"))


def _verdicts(rows, what):
    """Return ``Not worse in 3 of 5 comparisons (worse in 1, open in 1)``."""
    counts = rows["verdict"].value_counts()
    text = f"Not worse in {counts.get(NOT_WORSE, 0)} of {len(rows)} {what}"
    others = ", ".join(f"{one} in {counts[one]}" for one in (WORSE, OPEN) if one in counts)
    return f"{text} ({others})" if others else text


def _counted(rows):
    return rows[rows["counted"]] if rows["counted"].any() else rows


def _furthest(rows, names):
    """Return where the default is furthest behind, if it is worse anywhere."""
    worse = rows[rows["verdict"] == WORSE]
    if worse.empty:
        return "Worse nowhere."
    row = worse.loc[worse["difference"].idxmin()]
    where = ", ".join(str(row[name]) for name in names)
    return f"Furthest behind: {where} ({_points(row).strip('*')})."


def _conclusion(rows):
    ahead = rows.groupby("other", sort=False)["verdict"].agg(lambda of: (of == NOT_WORSE).all())
    return (
        f"**{_verdicts(rows, 'comparisons')}, and at every number of shots than {ahead.sum()} of "
        f"{len(ahead)} others.** {_furthest(rows, ['other', 'shots'])}"
    )


def _best_single(rows, title):
    if rows.empty:
        return []
    return [
        f"### The best single backbone {title}",
        f"{of_pairs(rows)} The best is chosen on test images, by its mean over draws: an upper "
        "bound on what a user could have picked.",
        _table(rows, "set"),
    ]


def of_pairs(rows):
    """Return the conclusion of a table of sets and shots."""
    counted = _counted(rows)
    mean = 100 * counted["difference"].mean()
    return (
        f"**{_verdicts(counted, 'pairs of set and shots')}; mean difference {mean:+.1f} points.** "
        f"{_furthest(counted, ['set', 'shots'])}"
    )


def _other_default(rows, name):
    if rows.empty:
        return []
    return [
        f"### Against {'the former default' if name == FORMER else 'the image embeddings alone'}",
        f"{of_pairs(rows)} {_OTHER_DEFAULTS[name]}",
        with_mean_over_sets(rows),
    ]


def with_mean_over_sets(rows):
    """Return Markdown: differences of one comparison, for each set and in the mean over sets."""
    mean = _differences.over_sets(rows).assign(set="mean over sets")
    return _table(pd.concat([rows, mean]), "set")


def _all_others(own):
    means = _differences.over_sets(own)
    table = _table(means, "other").splitlines()
    held = means.groupby("other", sort=False)[["held", "sets"]].sum()
    cells = [f" {row['held']} of {row['sets']} |" for _, row in held.iterrows()]
    ends = [" not worse, sets x shots |", " --- |", *cells]
    return [
        "### Every rule and every rival, mean over sets",
        _conclusion(means),
        "\n".join(line + end for line, end in zip(table, ends, strict=True)),
    ]


def _other_heads(compared):
    counted = _counted(compared)
    rules = counted[counted["kind"].isin(["rule", "single"]) & (counted["other"] != ANY)]
    cells = rules.groupby(["head", "shots"], sort=False)["verdict"].agg(
        lambda of: f"{(of == NOT_WORSE).sum()} / {(of == WORSE).sum()} / {(of == OPEN).sum()}"
    )
    orders = [list(dict.fromkeys(rules[name])) for name in ("head", "shots")]
    table = cells.unstack().reindex(index=orders[0], columns=orders[1]).fillna("n/a")
    return [
        "### Every head: the default against the other rules and the best single of that head",
        f"**{_verdicts(rules, 'comparisons of all heads, sets and shots')}.** "
        f"{_furthest(rules, ['set', 'head', 'shots', 'other'])} Not worse / worse / open:",
        markdown_of(table),
    ]


def _worse_than_own(results, compared):
    """Return why the default is worse than the best single backbone of its own heads."""
    worse = compared[(compared["other"] == OWN) & (compared["verdict"] == WORSE)]
    if worse.empty:
        return []
    cells = _checks.headroom(results).set_index(_checks.CELL)
    rows = {}
    for _, row in worse.sort_values("difference").iterrows():
        place = tuple(row[name] for name in _checks.CELL)
        why = _checks.reason({**cells.loc[place], **dict(zip(_checks.CELL, place))})
        rows[", ".join(place)] = [_points(row).strip("*"), why]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["difference", "what is known"])
    table.index.name = "set, head, shots"
    return [
        f"**Worse than the best single backbone of its own heads in {len(rows)} cells of all "
        "heads and sets, perturbed ones too:**",
        markdown_of(table),
    ]


def _gains(results):
    cells = _checks.headroom(results)
    means = _checks.over_sets(cells)
    table = (
        100
        * means[
            ["best", "default", "routers", "stackers", "oracle", "luck", "independent"]
            + ["of_achievable", "of_oracle"]
        ]
    )
    digits = {name: 0 if name.startswith("of_") else 1 for name in table}
    texts = table.apply(lambda column: column.map(lambda v: _number(v, digits[column.name])))
    texts.index = [", ".join(place) for place in texts.index]
    texts.index.name = "head, shots"
    texts.columns = [
        *("best single", "default", "routers on test labels", "stackers on test labels"),
        *("oracle", "oracle of permuted rows", "oracle of independent mistakes"),
        *("share of achievable, %", "share of oracle, %"),
    ]
    head = _differences.main_head(results)
    place = (head, means.loc[head].index[-1])
    achievable, oracle = (
        _number(table.loc[place, f"of_{of}"], 0) for of in ("achievable", "oracle")
    )
    return [
        "### What there was to gain",
        f"**At {place[1]} shots the default (head {head}) has {achievable} % of what combinations "
        "that are shown test labels gain over the best single backbone, and "
        f"{oracle} % of what the oracle does.** {_GAINS}",
        markdown_of(texts),
        *_gains_of_sets(cells[cells["head"] == head]),
    ]


def _gains_of_sets(cells):
    cells = _checks.with_shares(cells)
    above = (cells["gap_there"] > cells["achievable_gain"]).sum()
    known = cells["achievable"].notna().sum()
    shares = 100 * cells[["of_achievable", "of_oracle"]]
    cells["text"] = [" / ".join(_number(v, 0) for v in row) for row in shares.to_numpy()]
    orders = [list(dict.fromkeys(cells[name])) for name in ("set", "shots")]
    table = cells.pivot(index="set", columns="shots", values="text")
    return [
        f"**The default is above all combinations on test labels in {above} of {known} pairs of "
        "set and shots.** Shares of each set, of achievable / of oracle, in %; they say little "
        "where there was little to gain:",
        markdown_of(table.reindex(index=orders[0], columns=orders[1]).fillna("n/a")),
    ]


def _number(value, digits):
    return "n/a" if np.isnan(value) else f"{value:.{digits}f}"
