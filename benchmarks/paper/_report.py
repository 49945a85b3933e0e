"""Write the report: tables in Markdown and files of results."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd

import skclipens

from .._machine import cpu, markdown_of
from . import _asked, _checks, _differences, _rivals, _roles, _run, _systems, headline
from ._embedding import read_set, short_names, write_whole
from ._experiments import mean_sd
from ._systems import DEFAULT

_VERSIONS = ["numpy", "scikit-learn", "torch", "open_clip_torch", "deslib"]
_RANK = {"rule": 0, "reference": 1, "single": 2, "expert": 3, "rival": 4}


def write(results, compared, folders, missing, figures, settings, command, output, others=()):
    """Write the table (parquet and CSV), means of cells, the report and tables of each set.

    ``compared`` has the differences of the default to all others, with intervals.
    """
    results = _rounded(results)
    results.to_parquet(output / "results.parquet", index=False, compression="zstd")
    archive = {"method": "gzip", "mtime": 0}
    results.to_csv(output / "results.csv.gz", index=False, compression=archive)
    keys = ["set", "head", "rule", "kind", "shots"]
    cells = results.groupby(keys, sort=False)["accuracy"].agg(["mean", "std", "count"])
    cells.reset_index().to_csv(output / "cells.csv", index=False, float_format="%.5g")
    means = _differences.over_sets(compared)
    for name, frame in (("differences", compared), ("means", means)):
        frame = frame.drop(columns="replicates")
        frame.to_csv(output / f"{name}.csv", index=False, float_format="%.5f")
    headline.draw(compared, results, output, means)
    gains = _checks.headroom(results)
    gains.to_csv(output / "headroom.csv", index=False, float_format="%.5g")
    abouts = [read_set(folder)[1] for folder in folders]
    parts = [
        "# Results: ways to combine backbones",
        headline.conclusion(compared, results),
        _head(results, abouts, missing, settings, command),
        _asked.section(results, compared),
        _main_tables(results),
        _calibration(results),
        _costs(results),
        _figure_links(figures),
        _problems(results),
        "Further experiments: " + ", ".join(f"[{o}]({o}.md)" for o in others) if others else "",
    ]
    _write(output / "results.md", "\n\n".join(part for part in parts if part) + "\n")
    _write(output / "per_set.md", _per_set(results))
    _write(output / "differences.md", _asked.per_set(results, compared))


def write_further(name, text, command, output):
    """Write the report of a further experiment."""
    title, _, rest = text.partition("\n\n")
    _write(output / f"{name}.md", f"{title}\n\n    {command}\n\n{rest}")


def _write(path, text):
    write_whole(path, lambda part: part.write_text(text, "utf-8"))


def _rounded(results):
    digits = {"accuracy": 5, "ece": 4, "routing_share": 4, "gflops": 4}
    digits |= {"fit_seconds": 3, "predict_seconds": 4, "head_seconds": 2}
    digits |= {"peak_mib": 0, "added_mib": 1, "unit_seconds": 1}
    return results.round({name: d for name, d in digits.items() if name in results})


def _versions():
    known = {"skclipens": skclipens.__version__, "Python": platform.python_version()}
    for name in _VERSIONS:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return ", ".join(f"{name} {number}" for name, number in known.items())


_PROTOCOL = """\
A cell of the tables is the mean over draws; where it is of one set, with the standard deviation
over draws. "all" shots: all labels of the training part, which is one draw, or a random half of
the images where the set has no parts. Nothing is chosen on test images but what is called the
best single: the expert on one backbone that is best on the test images of a cell (set, head,
shots), with hindsight. The oracle is right where any expert on one backbone is. With head auto
these are zero-shot and kernel heads. Where a set has no test part, the test images are all that
do not train: other ones, and other shares of the classes, for other numbers of shots.

Every draw: `results.parquet`, and the same table in `results.csv.gz`. Means, and the number of
draws of each cell: `cells.csv`. Tables of each set: [per_set.md](per_set.md), with intervals of the
default's differences [differences.md](differences.md)."""


def _classes(settings):
    n = settings.n_classes
    return "" if n is None else f"Each draw has {n} classes at most, drawn at random. "


def _head(results, abouts, missing, settings, command):
    draws = results.groupby("shots", sort=False)["draw"].nunique()
    draws = ", ".join(f"{n} at {k} shots" for k, n in draws.items())
    skipped = [f"- {name}: {_shortened(why)}" for name, why in missing.items()]
    parts = [
        f"    {command}",
        f"{cpu()}, one thread per process. {_versions()}.",
        f"Backbones: {', '.join(short_names(settings.backbones).values())}. Columns: "
        f"{settings.columns}; head auto has all of them, others and the rivals have image "
        f"embeddings where their name says no more. Seed {settings.seed}. {_classes(settings)}"
        f"Draws: {draws}; achievable accuracy in the first {settings.diagnosis_draws} at most.",
        _trained(results, settings),
        time_of(results),
        "\n".join(map(_describe, abouts)),
        _roles.RULE,
        "\n".join(["Skipped:\n", *skipped]) if skipped else "",
        _PROTOCOL,
        _rivals.NOTE,
    ]
    return "\n\n".join(part for part in parts if part)


def _trained(results, settings):
    there = set(results["rule"])
    rules = [rule for rule in _systems.TRAINED if rule in there]
    if not rules:
        return ""
    n = settings.trained_draws
    which = "the first draw alone" if n == 1 else f"the first {n} draws at most"
    return (
        f"Rules that are trained ({'; '.join(rules)}) are measured in {which}: their means are "
        "over these, and they lead no table where others have more. Every difference is over the "
        "draws that both sides have."
    )


def time_of(results):
    """Return the time of all draws, including those of earlier runs."""
    seconds = results.drop_duplicates(["set", "shots", "draw", "part"])["unit_seconds"].sum()
    return (
        f"All draws together took {seconds / 60:.1f} minutes: the sum over all processes, and over "
        "all runs where one was resumed, without embedding."
    )


def _shortened(why):
    """Return why a set is missing, without the advice on how to get it."""
    return " ".join(why.partition("Either get")[0].split())[:500]


def _describe(about):
    y = about["y"]
    parts = "the images that do not train are the test set"
    if about["train"] is not None:
        sizes = len(about["train"]), len(about["test"])
        parts = "{} images to draw training images from, {} test images".format(*sizes)
    role = _roles.role_of(about["name"]) or "for trials only"
    size = f"{len(y)} images, {len(set(y))} classes"
    return f"- {about['name']} ({role}): {size}, {about['from']}; {parts}"


def _main_tables(results):
    parts = ["## Accuracy, mean over sets"]
    for head in dict.fromkeys(results["head"]):
        rows = _of_head(results, head)
        per_set = 100 * rows.groupby(["rule", "shots", "set"], sort=False)["accuracy"].mean()
        means = per_set.groupby(["rule", "shots"], sort=False).mean().unstack()
        counts = per_set.groupby(["rule", "shots"], sort=False).count().unstack()
        most = counts.max().max()
        table = means.map(lambda v: "n/a" if np.isnan(v) else f"{v:.1f}")
        partly = (counts > 0) & (counts < most)
        table = table.where(~partly, table + " (" + counts.astype("Int64").astype(str) + ")")
        title = "Outside rivals" if head == "none" else f"Head: {head}"
        parts += [
            f"### {title}",
            _leader(_in_order(means, results), rows),
            markdown_of(_ordered(table, results, rows)),
        ]
    parts.append("In brackets: the number of sets, where it is not all of them.")
    return "\n\n".join(parts)


def _leader(means, rows):
    """Return the leader at the most shots, and the place of the default."""
    kept = [not name.startswith(("oracle", "best single")) for name in means.index]
    return _first(means.loc[kept].iloc[:, -1], rows, "Highest", "{:.1f}")


def _first(column, rows, what, digits):
    """Return the conclusion of a table: its highest or lowest at the most shots, and the default.

    Means over fewer draws than others have are left out.
    """
    n_draws = rows[rows["shots"] == column.name].groupby("rule")["draw"].nunique()
    column = column[n_draws.reindex(column.index) == n_draws.max()]
    if column.isna().all():
        return ""
    first = column.idxmax() if what == "Highest" else column.idxmin()
    text = f"{what} at {column.name} shots: {first}, {digits.format(column[first])}"
    if DEFAULT in column and first != DEFAULT:
        text += f"; {DEFAULT} {digits.format(column[DEFAULT])}"
    return f"**{text}.**"


def _of_head(results, head):
    rows = results[(results["head"] == head) & results["accuracy"].notna()]
    kept = ["rule", "reference", "rival", "single"]
    return rows[rows["kind"].isin(kept)]


def _ordered(table, results, rows):
    """Return a table with rules in order, then references, then single experts; shots in order."""
    kinds = rows.drop_duplicates("rule").set_index("rule")["kind"].map(_RANK)
    order = kinds.sort_values(kind="stable").index
    table = _in_order(table, results).reindex(order)
    table.index = [f"**{name}**" if name == DEFAULT else name for name in table.index]
    table.index.name = "system"
    return table


def _in_order(table, results):
    """Return a table with shots in order."""
    return table[[k for k in dict.fromkeys(results["shots"]) if k in table]]


def _per_set(results):
    parts = ["# Results of each set: accuracy in %, mean ± standard deviation over draws"]
    for name, of_set in results.groupby("set", sort=False):
        parts.append(f"## {name}")
        for head in dict.fromkeys(of_set["head"]):
            rows = _of_head(of_set, head)
            if rows.empty:
                continue
            groups = (100 * rows["accuracy"]).groupby([rows["rule"], rows["shots"]], sort=False)
            cells = groups.agg(["mean", "std"])
            texts = cells.apply(lambda cell: mean_sd(cell["mean"], cell["std"]), axis=1)
            table = texts.unstack().fillna("n/a")
            title = "Outside rivals" if head == "none" else f"Head: {head}"
            leader = _leader(_in_order(cells["mean"].unstack(), results), rows)
            parts += [f"### {name}: {title}", leader, markdown_of(_ordered(table, results, rows))]
    return "\n\n".join(parts) + "\n"


def _calibration(results):
    head = _differences.main_head(results)
    rows = results[results["head"].isin([head, "none"]) & results["ece"].notna()]
    per_set = rows.groupby(["rule", "shots", "set"], sort=False)["ece"].mean()
    table = per_set.groupby(["rule", "shots"], sort=False).mean().unstack()
    first = _first(_in_order(table, results).iloc[:, -1], rows, "Lowest", "{:.3f}")
    table = table.map(lambda v: "n/a" if np.isnan(v) else f"{v:.3f}")
    title = f"## Expected calibration error (15 bins), head {head}, mean over sets"
    return "\n\n".join([title, first, markdown_of(_ordered(table, results, rows))])


def _costs(results):
    shots = [k for k in dict.fromkeys(results["shots"]) if k != _run.ALL] or [_run.ALL]
    at = shots[-1]
    parts = [f"## Time and memory, shots: {at}"]
    of_shots = results[(results["shots"] == at) & results["fit_seconds"].notna()]
    head = _differences.main_head(results)
    rows = of_shots[of_shots["head"].isin([head, "none"])]
    per_1000 = 1e6 * rows["predict_seconds"] / rows["n_test"]
    groups = rows.assign(per_1000=per_1000).groupby("rule", sort=False)
    fit = groups["fit_seconds"].median()
    conclusion = f"**Longest to fit: {fit.idxmax()}, {fit.max():.2f} s"
    conclusion += f"; {DEFAULT} {fit[DEFAULT]:.2f} s.**" if DEFAULT in fit else ".**"
    table = pd.DataFrame(
        {
            "fit, s": groups["fit_seconds"].median().map("{:.2f}".format),
            "predict, ms per 1000 rows": groups["per_1000"].median().map("{:.1f}".format),
            "added memory, MiB": groups["added_mib"].median().map("{:.0f}".format),
            "peak memory, MiB": groups["peak_mib"].max().map("{:.0f}".format),
            "GFLOPs per image": groups["gflops"].first().map(_gflops),
        }
    )
    table.index.name = "system"
    heads = of_shots.groupby("head", sort=False)["head_seconds"].median().dropna()
    fitted = ", ".join(f"{name} {seconds:.2f}" for name, seconds in heads.items())
    parts += [
        f"{conclusion} Head {head}; medians over sets and draws, on embeddings. Rules share fitted "
        "heads and their held-out logits, so their time is that of the rule alone. The heads take, "
        f"in s: {fitted} (with the encoding of prompts, in the first draw of a process). Memory is "
        "the resident set of the process: the peak while the system is fitted and predicts, and "
        "how far that is above the start. GFLOPs are those of the image towers, for all views.",
        markdown_of(table),
    ]
    return "\n\n".join(parts + _backbone_costs(results, at))


def _backbone_costs(results, shots):
    rows = results[(results["kind"] == "single") & (results["shots"] == shots)]
    rows = rows[rows["head"].isin(["zero-shot", "linear"])]
    if rows.empty:
        return []
    table = 100 * rows.pivot_table("accuracy", "rule", "head", sort=False)
    best = [f"{table[head].idxmax().partition(':')[2]} with head {head}" for head in table]
    table = table.map("{:.1f}".format)
    costs = rows.drop_duplicates("rule").set_index("rule")["gflops"]
    table.insert(0, "GFLOPs per image", costs.map(_gflops))
    table.index = [name.partition(":")[2] for name in table.index]
    table.index.name = "backbone"
    title = f"**The best single backbone is {', '.join(best)}.** Accuracy in %, mean over sets:"
    return [title, markdown_of(table)]


def _gflops(value):
    return "n/a" if np.isnan(value) else f"{value:.4g}"


def _figure_links(figures):
    parts = ["## Figures", *(f"{caption}\n\n![]({name})" for name, caption in figures.items())]
    return "\n\n".join(parts)


def _problems(results):
    bad = results[results["status"] != "ok"]
    groups = bad.groupby(["head", "rule", "status"], sort=False)
    lines = [
        f"- {head}, {rule}: {status} ({len(rows)} draws; shots "
        f"{', '.join(dict.fromkeys(rows['shots']))})"
        for (head, rule, status), rows in groups
    ]
    lines += [f"- {name}: not available: {why}" for name, why in _rivals.NOT_TRIED.items()]
    return "\n".join(["## Not available, or failed", "", *lines])
