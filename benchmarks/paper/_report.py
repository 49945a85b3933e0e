"""The report: tables in Markdown and files of results."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

import skclipens

from . import _checks, _roles, _run
from ._embedding import read_set, short_names, write_whole
from ._experiments import markdown, mean_sd
from ._systems import DEFAULT

_VERSIONS = ["numpy", "scikit-learn", "torch", "open_clip_torch", "deslib"]
_RANK = {"rule": 0, "reference": 1, "single": 2, "expert": 3, "rival": 4}


def write(results, folders, missing, figures, settings, command, output, others=()):
    """Write the table (parquet and CSV), means of cells, the report and tables of each set."""
    results = _rounded(results)
    results.to_parquet(output / "results.parquet", index=False, compression="zstd")
    archive = {"method": "gzip", "mtime": 0}
    results.to_csv(output / "results.csv.gz", index=False, compression=archive)
    keys = ["set", "head", "rule", "kind", "shots"]
    cells = results.groupby(keys, sort=False)["accuracy"].agg(["mean", "std", "count"])
    cells.reset_index().to_csv(output / "cells.csv", index=False, float_format="%.5g")
    abouts = [read_set(folder)[1] for folder in folders]
    parts = [
        _head(results, abouts, missing, settings, command),
        _asked(results),
        _main_tables(results),
        _calibration(results),
        _costs(results),
        _figure_links(figures),
        _problems(results),
        "Further experiments: " + ", ".join(f"[{o}]({o}.md)" for o in others) if others else "",
    ]
    _write(output / "results.md", "\n\n".join(part for part in parts if part) + "\n")
    _write(output / "per_set.md", _per_set(results))


def write_further(name, text, command, output):
    """The report of a further experiment."""
    _write(output / f"{name}.md", f"    {command}\n\n{text}")


def _write(path, text):
    write_whole(path, lambda part: part.write_text(text, "utf-8"))


def _rounded(results):
    digits = {"accuracy": 5, "ece": 4, "gap_se_images": 5, "routing_share": 4, "gflops": 4}
    digits |= {"fit_seconds": 3, "predict_seconds": 4, "head_seconds": 2}
    digits |= {"peak_mib": 0, "added_mib": 1}
    return results.round({name: d for name, d in digits.items() if name in results})


def _versions():
    known = {"skclipens": skclipens.__version__, "Python": platform.python_version()}
    for name in _VERSIONS:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return ", ".join(f"{name} {number}" for name, number in known.items())


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(one.split(":")[1].strip() for one in lines if one.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


_PROTOCOL = """\
A cell of the tables is the mean over draws; where it is of one set, with the standard deviation
over draws. "all" shots: all labels of the training part, which is one draw, or a random half of
the images where the set has no parts. Nothing is chosen on test images but what is called the
best single: the expert on one backbone that is best on the test images of a cell (set, head,
shots), with hindsight. The oracle is right where any expert on one backbone is. With head auto
these are the residual heads. Where a set has no test part, the test images are all that do not
train: other ones, and other shares of the classes, for other numbers of shots.

Every draw: `results.parquet`, and the same table in `results.csv.gz`. Means, and the number of
draws of each cell: `cells.csv`. Tables of each set: [per_set.md](per_set.md)."""


def _head(results, abouts, missing, settings, command):
    draws = results.groupby("shots", sort=False)["draw"].nunique()
    draws = ", ".join(f"{n} at {k} shots" for k, n in draws.items())
    skipped = [f"- {name}: {_shortened(why)}" for name, why in missing.items()]
    parts = [
        "# Results: ways to combine backbones",
        f"    {command}",
        f"{_processor()}, one thread per process. {_versions()}.",
        f"Backbones: {', '.join(short_names(settings.backbones).values())}. Seed {settings.seed}. "
        f"Draws: {draws}; StackingClassifier at most {settings.slow_draws}.",
        "\n".join(map(_describe, abouts)),
        _roles.RULE,
        "\n".join(["Skipped:\n", *skipped]) if skipped else "",
        _PROTOCOL,
    ]
    return "\n\n".join(part for part in parts if part)


def _shortened(why):
    """Why a set is missing, without the advice on how to get it."""
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


def _asked(results):
    cells = _checks.headroom(results)
    if cells.empty:
        return ""
    parts = ["## What is asked of the default"]
    short = _checks.below_best_single(cells)
    strict = cells[cells["gap_per_draw"] < -cells["gap_se"]]
    parts.append(
        f"**Never more than a standard error below the best single backbone**: holds in "
        f"{len(cells) - len(short)} of {len(cells)} cells. (Against the best of each draw, which "
        f"is another backbone from draw to draw: {len(cells) - len(strict)}.) The standard error "
        "is that of the paired difference over draws, or over test images where nothing is drawn."
    )
    if len(short):
        parts.append(_short_cells(short))
    parts += _against_any_head(results)
    for kind, what in (("rule", "every other rule"), ("rival", "every outside rival")):
        parts += _compared(results, kind, what)
    parts += _closed(cells)
    return "\n\n".join(parts)


def _against_any_head(results):
    head = _main_head(results)
    cells = _checks.against_any_head(results, head)
    if cells.empty:
        return []
    short = _checks.below_best_single(cells)
    text = (
        f"**A harder rival than asked, the best single backbone under any of the heads**: the "
        f"default (head {head}) is not more than a standard error below it in "
        f"{len(cells) - len(short)} of {len(cells)} pairs of set and shots."
    )
    if short.empty:
        return [text]
    rows = {
        f"{cell['set']}, {cell['shots']}": [
            f"{100 * cell['default']:.1f}",
            f"{100 * cell['other']:.1f}",
            f"{100 * cell['gap']:.2f}",
            f"{100 * cell['gap_se']:.2f}" if cell["gap_se"] else "n/a",
            cell["best"],
        ]
        for _, cell in short.sort_values("gap").iterrows()
    }
    columns = ["default", "other", "gap, points", "standard error", "the best single"]
    return [text, markdown(_frame(rows, columns, "set, shots"))]


def _short_cells(short):
    rows = {
        f"{cell['set']}, {cell['head']}, {cell['shots']}": [
            f"{100 * cell['gap']:.2f}",
            f"{100 * cell['gap_se']:.2f}",
            f"{100 * (cell['oracle'] - cell['best']):.1f}",
            _checks.reason(cell),
        ]
        for _, cell in short.sort_values("gap").iterrows()
    }
    columns = ["gap, points", "standard error", "headroom", "what is known of why"]
    return markdown(_frame(rows, columns, "set, head, shots"))


def _compared(results, kind, what):
    heads = [one for one in dict.fromkeys(results["head"]) if one != "none"]
    if kind == "rival":
        heads = [_main_head(results)]
    frames = [_checks.against(results, head, kind) for head in heads]
    gaps = pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame()])
    if gaps.empty:
        return []
    behind = gaps[gaps["gap"] < -1e-12].sort_values("gap")
    n_points = gaps.groupby(["head", "shots"], sort=False).ngroups
    n_behind = behind.groupby(["head", "shots"], sort=False).ngroups
    text = (
        f"**Mean accuracy over sets at least that of {what}**: holds at {n_points - n_behind} of "
        f"{n_points} pairs of head and shots, and in {len(gaps) - len(behind)} of {len(gaps)} "
        "comparisons, each over the draws that both have."
    )
    if kind == "rival":
        text += f" The default has head {heads[0]}."
    if behind.empty:
        return [text]
    rows = {
        f"{row['head']}, {row['shots']}, {row['rule']}": [
            f"{100 * row['default']:.2f}",
            f"{100 * row['other']:.2f}",
            f"{100 * row['gap']:.2f}",
            f"{100 * row['gap_se']:.2f}" if row["draws"] > 1 else "n/a",
            f"{row['sets']} × {row['draws']}",
        ]
        for _, row in behind.iterrows()
    }
    columns = ["default", "other", "gap, points", "standard error", "sets × draws"]
    return [text, "Behind:", markdown(_frame(rows, columns, "head, shots, other"))]


def _closed(cells):
    by_shots = 100 * cells.pivot_table("closed", "head", "shots", sort=False)
    by_shots.loc["mean"] = 100 * cells.groupby("shots")["closed"].mean()
    table = by_shots.map("{:.0f}".format)
    at = _run.ALL if _run.ALL in table else table.columns[-1]
    table.index.name = "head"
    return [
        "**Share of the oracle's headroom closed**, gain over the best single over the oracle's, "
        f"mean over cells at {at} shots: {by_shots.loc['mean', at]:.0f} % (asked: 25 % with all "
        "labels). In %, mean over sets:",
        markdown(table),
    ]


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
        parts += [f"### {title}", markdown(_ordered(table, results, rows))]
    parts.append("In brackets: the number of sets, where it is not all of them.")
    return "\n\n".join(parts)


def _of_head(results, head):
    rows = results[(results["head"] == head) & results["accuracy"].notna()]
    kept = ["rule", "reference", "rival", "single"]
    return rows[rows["kind"].isin(kept)]


def _ordered(table, results, rows):
    """Rules in their order, then references, then single experts; shots in theirs."""
    kinds = rows.drop_duplicates("rule").set_index("rule")["kind"].map(_RANK)
    order = kinds.sort_values(kind="stable").index
    columns = [k for k in dict.fromkeys(results["shots"]) if k in table]
    table = table.reindex(index=order, columns=columns)
    table.index = [f"**{name}**" if name == DEFAULT else name for name in table.index]
    table.index.name = "system"
    return table


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
            parts += [f"### {name}: {title}", markdown(_ordered(table, results, rows))]
    return "\n\n".join(parts) + "\n"


def _calibration(results):
    head = _main_head(results)
    rows = results[results["head"].isin([head, "none"]) & results["ece"].notna()]
    per_set = rows.groupby(["rule", "shots", "set"], sort=False)["ece"].mean()
    table = per_set.groupby(["rule", "shots"], sort=False).mean().unstack()
    table = table.map(lambda v: "n/a" if np.isnan(v) else f"{v:.3f}")
    title = f"## Expected calibration error (15 bins), head {head}, mean over sets"
    return "\n\n".join([title, markdown(_ordered(table, results, rows))])


def _main_head(results):
    """The default's own head, or the last one that there is."""
    heads = [head for head in dict.fromkeys(results["head"]) if head != "none"]
    return "auto" if "auto" in heads else heads[-1]


def _costs(results):
    shots = [k for k in dict.fromkeys(results["shots"]) if k != _run.ALL] or [_run.ALL]
    at = shots[-1]
    parts = [f"## Time and memory, shots: {at}"]
    of_shots = results[(results["shots"] == at) & results["fit_seconds"].notna()]
    head = _main_head(results)
    rows = of_shots[of_shots["head"].isin([head, "none"])]
    per_1000 = 1e6 * rows["predict_seconds"] / rows["n_test"]
    groups = rows.assign(per_1000=per_1000).groupby("rule", sort=False)
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
        f"Head {head}; medians over sets and draws, on embeddings. Rules share fitted heads and "
        f"their held-out logits, so their time is that of the rule alone. The heads take, in s: "
        f"{fitted} (with the encoding of prompts, in the first draw of a process). Memory is the "
        "resident set of the process: the peak while the system is fitted and predicts, and how "
        "far that is above the start. GFLOPs are those of the image towers.",
        markdown(table),
    ]
    return "\n\n".join(parts + _backbone_costs(results, at))


def _backbone_costs(results, shots):
    rows = results[(results["kind"] == "single") & (results["shots"] == shots)]
    rows = rows[rows["head"].isin(["zero-shot", "linear"])]
    if rows.empty:
        return []
    table = 100 * rows.pivot_table("accuracy", "rule", "head", sort=False)
    table = table.map("{:.1f}".format)
    costs = rows.drop_duplicates("rule").set_index("rule")["gflops"]
    table.insert(0, "GFLOPs per image", costs.map(_gflops))
    table.index = [name.partition(":")[2] for name in table.index]
    table.index.name = "backbone"
    return ["Single backbones, accuracy in %, mean over sets:", markdown(table)]


def _gflops(value):
    return "n/a" if np.isnan(value) else f"{value:.4g}"


def _figure_links(figures):
    parts = ["## Figures", *(f"{caption}\n\n![]({name})" for name, caption in figures.items())]
    return "\n\n".join(parts)


def _problems(results):
    bad = results[results["status"] != "ok"]
    if bad.empty:
        return ""
    groups = bad.groupby(["head", "rule", "status"], sort=False)
    lines = [
        f"- {head}, {rule}: {status} ({len(rows)} draws; shots "
        f"{', '.join(dict.fromkeys(rows['shots']))})"
        for (head, rule, status), rows in groups
    ]
    return "\n".join(["## Not available, or failed", "", *lines])


def _frame(rows, columns, index):
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    frame.index.name = index
    return frame
