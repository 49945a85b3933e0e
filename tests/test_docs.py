"""The Python code of the documentation runs, and the reference names what is public."""

import importlib
import re
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from _public import MODULES
from sklearn.base import BaseEstimator

from benchmarks import coming_from
from tools.docs.pages import run, same

ROOT = Path(__file__).parents[1]
# How many blocks of a page run, and how many are marked as not run. Change these with the page.
PAGES = {
    "README.md": (2, 0),
    "docs/guide/choosing.md": (8, 0),
    "docs/guide/columns.md": (5, 0),
    "docs/guide/coming_from.md": (8, 1),
    "docs/guide/cost.md": (7, 2),
    "docs/guide/few_shot.md": (10, 0),
    "docs/guide/how_it_works.md": (1, 0),
    "docs/guide/inputs.md": (6, 0),
    "docs/guide/install.md": (2, 4),
    "docs/guide/labels.md": (6, 0),
    "docs/guide/mistakes.md": (1, 0),
    "docs/guide/other_packages.md": (1, 4),
    "docs/guide/own_pictures.md": (9, 2),
    "docs/guide/reproducibility.md": (3, 0),
    "docs/guide/search.md": (5, 0),
    "docs/guide/security.md": (2, 1),
    "docs/guide/tables.md": (10, 1),
    "docs/guide/trust.md": (9, 0),
    "docs/guide/tuning.md": (5, 0),
    "docs/guide/when_to_use.md": (2, 0),
    "docs/index.md": (1, 0),
}

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="not in a clone of the repository"
)


@pytest.mark.usefixtures("embedded_once")
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text("utf-8")
    blocks = run(text, page)
    n_python = len(re.findall("^ *(?:```|~~~) *(?:python|py)", text, re.M))
    assert (len(blocks), n_python - len(blocks)) == PAGES[page]
    for block in blocks:
        assert same(block.shown, block.printed), block.match["code"]


def test_the_lines_of_code_in_a_table_are_those_of_the_page():
    text = coming_from.PAGE.read_text("utf-8")
    of_table = re.findall(r"^\| (.+) \| (?:the other package|skclipens) \| (\d+) \|", text, re.M)
    of_blocks = [
        (title, coming_from.n_lines(code)) for title, code in coming_from.blocks(text) if title
    ]
    assert [(title, int(n)) for title, n in of_table] == of_blocks


def test_every_page_with_code_is_run():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("guide/*.md")]
    with_code = {str(p.relative_to(ROOT)) for p in pages if "```py" in p.read_text("utf-8")}
    assert with_code <= PAGES.keys()
    assert sum(n_run for n_run, _ in PAGES.values()) > 60


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("accuracy 0.87", "accuracy 0.85", True),
        ("accuracy 0.87", "accuracy 0.77", False),
        ("accuracy 0.87", "error 0.87", False),
        ("", "accuracy 0.87", False),
        ("28 pictures", "14 pictures", False),
    ],
)
def test_a_page_shows_what_was_printed_up_to_last_digits(shown, printed, expected):
    assert same(shown, printed) is expected


@pytest.mark.parametrize("name", MODULES)
def test_the_reference_names_what_is_public(name):
    pages = [page.read_text("utf-8") for page in (ROOT / "docs/api").glob("*.md")]
    listed = set(re.findall(r"\w+", " ".join(pages)))
    assert set(importlib.import_module(name).__all__) - {"__version__"} <= listed


def test_diagrams_of_estimators_link_to_pages_of_the_reference():
    pages = set()
    for page in (ROOT / "docs/api").glob("*.md"):
        module = None
        for line in page.read_text("utf-8").splitlines():
            if line.startswith(".. currentmodule:: "):
                module = line.split()[-1]
            elif re.fullmatch(r"   \w+", line):
                pages.add(f"{module}.{line.strip()}")
    modules = [importlib.import_module(name) for name in MODULES]
    public = {getattr(module, name) for module in modules for name in module.__all__}
    kinds = [one for one in public if isinstance(one, type) and issubclass(one, BaseEstimator)]
    assert len(kinds) > 30
    for kind in kinds:
        site, _, page = kind.__new__(kind)._get_doc_link().rpartition("/generated/")
        assert site == "https://skclipens.github.io/skclipens"
        assert page.removesuffix(".html") in pages, kind


# Pages of text, with those in folders of `docs` that a build does not make.
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *(ROOT / "docs").glob("*.md")]
TEXTS += [
    page
    for folder in ("api", "guide", "results")
    for page in (ROOT / "docs" / folder).rglob("*.md")
]


def without_code(page):
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`|\$[^$\n]*\$", "", text)


def test_rows_of_a_table_have_as_many_cells_as_its_head():
    for page in TEXTS:
        for table in re.findall(r"(?:^\|.*\n)+", without_code(page), re.M):
            assert len({row.count("|") for row in table.splitlines()}) == 1, (page, table)


def test_links_to_the_repository_lead_to_files_and_headings():
    link = r"github\w*\.com/skclipens/skclipens/(?:blob/|tree/)?main/([^)#\s]+)#?([\w-]*)"
    found = [places for page in TEXTS for places in re.findall(link, page.read_text("utf-8"))]
    assert len(found) > 20
    for path, anchor in found:
        assert (ROOT / path).exists(), path
        if anchor:
            titles = re.findall("^#+ (.*)", without_code(ROOT / path), re.M)
            anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in anchors, (path, anchor)


RESULTS = ROOT / "docs" / "results" / "paper"
SINGLE, LOGISTIC = "best single backbone, any head", "LogisticRegression, C searched"
RIVALS = {
    "| best single backbone under any of six heads": SINGLE,
    "| logistic regression on the image embeddings, C": LOGISTIC,
    "| logistic regression on the same columns, pooled": f"{LOGISTIC}, pooled features too",
}


@pytest.fixture
def default_against():
    """Stored differences of the default to others."""
    read = partial(pd.read_csv, dtype={"shots": str})
    means, of_sets = (read(RESULTS / f"{name}.csv") for name in ("means", "differences"))
    return means[means["head"] == "auto"], of_sets[of_sets["head"] == "auto"]


def cells_of(means, other):
    """Cells of a page for 1, 4 and 16 labels per class."""
    return [
        f"{100 * one.difference:+.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"
        for one in means[means.other == other].set_index("shots").loc[["1", "4", "16"]].itertuples()
    ]


@pytest.mark.parametrize("page", ["README.md", "docs/guide/when_to_use.md"])
def test_the_gains_on_a_page_are_those_of_the_tables(page, default_against):
    means, _ = default_against
    text = (ROOT / page).read_text("utf-8")
    for beginning, other in RIVALS.items():
        (row,) = (line for line in text.splitlines() if line.startswith(beginning))
        assert row.removesuffix(" |").split(" | ")[1:] == cells_of(means, other)
    n_draws = means[means.other == SINGLE].draws.max()
    assert re.search(rf"mean of 11 sets[^|]*\b{n_draws} draws", text)


def test_the_gains_with_models_of_photographs_are_those_of_the_tables():
    means = pd.read_csv(RESULTS.parent / "paper-photo" / "means.csv", dtype={"shots": str})
    means = means[means["head"] == "auto"]
    readme, rival = (ROOT / "README.md").read_text("utf-8"), f"{LOGISTIC}, pooled features too"
    for row, other in [
        ("7 sets: best single backbone", SINGLE),
        ("the same: logistic regression on the same columns", rival),
    ]:
        assert f"{row} | {' | '.join(cells_of(means, other))} |" in readme
    gains = 100 * means[means.other == rival].set_index("shots").difference[["1", "4", "16"]]
    assert f"7 sets | {' | '.join(f'{gain:.1f}' for gain in gains)} |" in guide("when_to_use")
    gains = means[means.other == LOGISTIC].set_index("shots").difference[["1", "4", "16", "all"]]
    few = "{:.1f}, {:.1f} and {:.1f} points, and by {:.1f} with all labels".format(*(100 * gains))
    assert few in (RESULTS.parent / "index.md").read_text("utf-8")


def test_the_gains_on_the_front_page_are_those_of_the_tables(default_against):
    means, _ = default_against
    told = " ".join((ROOT / "docs/index.md").read_text("utf-8").split())
    for other, words in [
        (SINGLE, "points more accurate than the best single backbone under any head"),
        (LOGISTIC, "points more accurate than a logistic regression"),
    ]:
        of_other = means[means.other == other].set_index("shots").loc[["1", "4", "16"]]
        first, second, third = (f"{100 * gain:.1f}" for gain in of_other.difference)
        assert f"{first}, {second} and {third} {words}" in told


def test_how_often_the_readme_says_that_the_default_is_not_worse(default_against):
    _, of_sets = default_against
    verdicts = of_sets[of_sets.other == SINGLE].verdict.value_counts()
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"In {verdicts.sum()} cases" in text
    assert f"not worse than the best single backbone in {verdicts['not worse']} " in text
    assert f"worse in {verdicts['worse']} " in text
    assert f"undecided in {verdicts['open']}" in text


def guide(name):
    return " ".join((ROOT / f"docs/guide/{name}.md").read_text("utf-8").split())


def between(values, word):
    return f" {word} ".join(f"{100 * value:.1f}" for value in (values.min(), values.max()))


def test_ranges_of_gains_in_the_guide_are_those_of_the_tables(default_against):
    _, of_sets = default_against
    gain_most = ["emoji", "emoji-style", "pacs-photo-to-cartoon"]
    others = of_sets[~of_sets.set.isin(gain_most)]
    for columns, other in [("image embeddings", ""), ("same columns", ", pooled features too")]:
        of_other = others[others.other == f"LogisticRegression, C searched{other}"]
        ranges = of_other.groupby("shots").difference.apply(between, "and")
        row = f"| logistic regression on the {columns} | {' | '.join(ranges[['1', '4', '16']])} |"
        assert row in guide("when_to_use")
    for folder in ("paper", "paper-photo"):
        means = pd.read_csv(RESULTS.parent / folder / "means.csv")
        pooled = (means["head"] == "auto") & (means.other == "auto, image embeddings only")
        gains = between(means[pooled].difference, "to")
        assert re.search(rf"\[{gains}( points)?\]\(../results/{folder}/results", guide("columns"))


def cells(page, row, *headings):
    """Cells of the first row of a page of results that begins so, behind headings."""
    text = (RESULTS.parent / page).read_text("utf-8")
    for heading in headings:
        text = text[text.index(heading) :]
    found = next(line for line in text.splitlines() if line.startswith(f"| {row} |"))
    return found.removesuffix(" |").split(" | ")


def test_figures_of_the_guide_are_those_of_the_results():
    for blocks, told in [
        ("5 blocks", '{} s of processor time for `"static"`, {} s for `"shrunk"` and {} s for'),
        ("9 blocks", "and {}, {} and {} s with the nine models"),
    ]:
        rules = ("static", "shrunk (default)", "NLC")
        page = "speed/fit_predict.md"
        times = [cells(page, f"router alone: {rule}", blocks)[2] for rule in rules]
        assert told.format(*times) in guide("choosing")
    for models, told in [
        ("zoo/ViT-16 and ViT-B-32", "it was {} times as fast .* pixels, and {} times for 4000"),
        ("the zoo", "all small, it was {} and {} times as fast"),
    ]:
        rates = [
            cells("speed/cascade.md", f"{models} | {files} | pipeline of all")[5]
            for files in ("500 x 375, 0.04 MB", "4000 x 3000, 1.92 MB")
        ]
        assert re.search(told.format(*rates), guide("cost"))
    recalls = cells("labels.md", "recall, 10%", "### tuxpaint")
    ours, low, high = (f"{float(recalls[i].split()[0]):.0f}" for i in (1, 3, 4))
    assert f"[{ours}% of these](../results/labels.md), and cleanlab {low} to" in guide("labels")
    assert f"cleanlab {low} to {high}%" in guide("labels")
    errors = cells("paper/results.md", "**shrunk (default)**", "## Expected calibration error")
    few, all_ = (round(float(errors[i]), 2) for i in (1, 6))
    assert f"[{few} at one label per class, and {all_} with all]" in guide("trust")
    transfer = (RESULTS / "transfer.md").read_text("utf-8")
    of_digits = transfer[transfer.index("## digits") :]
    lost, gained = re.findall(r"- shrunk: ([-+][\d.]+)", of_digits)[:2]
    assert f"{lost} on digits" in guide("few_shot")
    assert f"{gained[1:]} on digits" in guide("few_shot")


def test_gains_of_more_columns_are_those_of_the_results():
    def gains(page, row, *headings):
        return [cell.split()[0].removeprefix("+") for cell in cells(page, row, *headings)[1:]]

    for page in ("intermediate.md", "validation/intermediate.md"):
        _, few, many = gains(page, "mean of the sets", "## The zoo", ", minus the")
        *_, photo = gains(page, "mean of the sets", "## Models trained", ", minus the")
        assert f"{few} and {many} points" in guide("columns")
        assert photo in guide("columns")
        if page == "intermediate.md":
            assert f"{few} and {many} points on average at 4 and 16 labels" in guide("choosing")
            assert f"nothing and {photo} with models trained" in guide("choosing")
    one, few, many = gains("columns.md", "caltech101-odd", "## Views, minus")
    assert f"{one}, {few} and {many} points on Caltech101" in guide("choosing")


def test_times_in_the_guide_are_those_of_the_results():
    rows = {
        "LogisticRegression at one C": "LogisticRegression, all columns",
        "LogisticRegressionCV": "LogisticRegressionCV, all columns",
        "StackingClassifier": "StackingClassifier",
        "the default ensemble": "skclipens, whole fit",
    }
    page, widths = "speed/fit_predict.md", ("640 columns\n", "6528 columns\n")
    for told, row in rows.items():
        fits = [cells(page, row, width) for width in widths]
        peaks = [f" ({fit[-1]})" if fit[-1].isdigit() else "" for fit in fits]
        shown = [f"{float(fit[2]):.2f}{peak}" for fit, peak in zip(fits, peaks, strict=True)]
        shown += [cells(page, row, width, "| predict")[4] for width in widths]
        assert f"| {told} | {' | '.join(shown)} |" in guide("when_to_use")
    for size, told in [
        (
            "100000 | 32 | 5",
            "takes {} s and {} MiB, and a logistic regression with one C takes {} s",
        ),
        ("16000 | 1000 | 5", "takes {} s and {} MiB, compared with {} s and {} MiB"),
    ]:
        found = cells("speed/scale.md", size)
        assert told.format(*(found[i] for i in (4, 12, 7, 13))) in guide("when_to_use")


PARTS = {
    "zero-shot heads": "pool without zero-shot heads",
    "kernel heads": "pool without kernels",
    "the linear head on all blocks": "pool without the linear head on all",
    "fitted weights of the experts": "router: none, the calibrated logit average",
    "more weight for prompts on rows unlike the labelled ones": (
        "rows out of distribution as any others"
    ),
    "compared with the former default (residual heads and a linear head)": (
        "former pool: residual heads and a linear one on all"
    ),
}


def test_what_parts_of_the_default_are_worth_is_that_of_the_tables():
    text = (ROOT / "docs/paper.md").read_text("utf-8")
    tables = [
        pd.read_csv(RESULTS.parent / folder / "ablation.csv")
        for folder in ("validation", "validation-photo")
    ]
    of_systems = [t.pivot_table("accuracy", "shots", "system") for t in tables]
    for part, without in PARTS.items():
        gains = [g for of in of_systems for g in of["default"] - of[without]]
        shown = " | ".join(f"{100 * gain:.1f}".replace("-0.0", "0.0") for gain in gains)
        assert f"| {part} | {shown} |" in text


def by_shots(name, head, column, value):
    """Accuracy on a set in points, by the number of labels: the highest of the rows chosen."""
    rows = pd.read_csv(RESULTS / "cells.csv", dtype={"shots": str})
    chosen = (rows.set == name) & (rows["head"] == head) & (rows[column] == value)
    return 100 * rows[chosen].groupby("shots")["mean"].max()


def test_differences_with_another_style_are_those_of_the_tables():
    def gains(name, column, value):
        default = by_shots(name, "auto", "rule", "shrunk (default)")
        found = default - by_shots(name, "zero-shot", column, value)
        return round(found.min()), round(found.max())

    most, least = gains("pacs-photo-to-cartoon", "rule", "C-Log-Avg")
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"by {-least} to {-most} points from photographs to cartoons (PACS)" in readme
    assert f"the default is {-least} to {-most} points below `head=" in guide("when_to_use")
    most, least = gains("pacs-photo-to-cartoon", "kind", "single")
    assert f"and {-least} to {-most} below the zero-shot head" in guide("when_to_use")
    least, most = gains("pacs-cartoon-to-photo", "rule", "C-Log-Avg")
    assert f"the default is {least} to {most} points above" in guide("when_to_use")
