"""The benchmark of the paper, on few pictures and backbones."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("pyarrow")
sys.path.insert(0, str(ROOT))

from benchmarks.paper import (  # noqa: E402
    _checks,
    _differences,
    _embedding,
    _run,
    _sets,
    _systems,
    beside,
)
from benchmarks.paper.__main__ import main, parse  # noqa: E402
from skclipens.ensemble._experts import Expert  # noqa: E402
from skclipens.ensemble.routers import ROUTERS  # noqa: E402
from skclipens.zoo import WEIGHTS  # noqa: E402

pytestmark = pytest.mark.usefixtures("short_training")

TIMED = ["fit_seconds", "predict_seconds", "head_seconds", "peak_mib", "added_mib", "unit_seconds"]
RULES = ["Log-Avg", "NLC", _systems.DEFAULT]
RIVALS = ["NearestCentroid, all columns", "StackingClassifier"]
ONE_IS_MISSING = ["--datasets", "few", "eurosat", "--no-download"]


def command(output, *more):
    return [
        *("--datasets", "few", "--backbones", "zoo/RegNet", "zoo/ViT-16", "--heads", "linear"),
        *("--rules", *RULES, "--rivals", *RIVALS, "--shots", "1", "3", "all", "--draws", "2"),
        *("--diagnosis-heads", "linear", "--diagnosis-draws", "1", "--trained-draws", "1"),
        *("--quiet", "--output", str(output), *more),
    ]


@pytest.fixture(scope="module")
def few_digits():
    """Eighty digits of four classes."""
    digits = _sets.digits()
    kept = np.flatnonzero(np.isin(digits.y, np.unique(digits.y)[:4]))[:80]
    return _sets.ImageSet("few", [digits.images[i] for i in kept], digits.y[kept])


@pytest.fixture
def few(few_digits, monkeypatch):
    monkeypatch.setitem(_sets.LOCAL, "few", lambda: few_digits)
    return few_digits


@pytest.fixture(scope="module")
def finished(few_digits, tmp_path_factory):
    output = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_sets.LOCAL, "few", lambda: few_digits)
        main([*command(output), *ONE_IS_MISSING])
    return output


def settings_of(output):
    (path,) = output.glob("work/results-*/settings.json")
    stored = json.loads(path.read_text())
    stored["columns"] = _embedding.Columns(**stored["columns"])
    return _run.Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()})


def table(output):
    return pd.read_parquet(output / "results.parquet")


def test_one_row_per_system_and_draw(finished):
    results = table(finished)
    assert not results.duplicated(["set", "shots", "draw", "head", "rule"]).any()
    assert results.groupby("shots")["draw"].nunique().to_dict() == {"1": 2, "3": 2, "all": 2}
    rules = results[results["kind"] == "rule"]
    assert set(rules["rule"]) == set(RULES)
    assert set(rules.loc[rules["rule"] == "NLC", "draw"]) == {0}  # trained
    assert results["accuracy"].dropna().between(0, 1).all()
    assert (rules[TIMED] >= 0).all(axis=None)
    assert (results["n_train"] + results["n_test"] == 80).all()
    text = pd.read_csv(finished / "results.csv.gz", dtype={"shots": str})
    pd.testing.assert_frame_equal(text, results, check_dtype=False)


def test_references_bound_each_other(finished):
    by_rule = _checks.wide(table(finished)).dropna(axis=1, how="all")
    by_rule = by_rule.xs("linear", level="head")
    singles = by_rule.filter(regex="^single:")
    assert singles.shape[1] == 2
    np.testing.assert_allclose(singles.max(axis=1), by_rule["best single"])
    assert (by_rule["oracle"] >= by_rule["best single"]).all()


def test_rivals_that_are_not_available(finished):
    rivals = table(finished).query("kind == 'rival'")
    stacking = rivals[rivals["rule"] == "StackingClassifier"].set_index("shots")
    assert set(stacking["draw"]) == {0, 1}
    assert stacking.loc["1", "status"].str.startswith("not available").all()
    assert (stacking.loc["3", "status"] == "ok").all()
    assert rivals[rivals["rule"].str.startswith("Nearest")]["accuracy"].notna().all()


def test_report(finished):
    report = (finished / "results.md").read_text()
    compared = pd.read_csv(finished / "differences.csv")
    own = compared[compared["other"] == _differences.OWN]
    assert set(own["draws"]) == {2}
    assert set(compared.loc[compared["other"] == "NLC", "draws"]) == {1}
    assert "Rules that are trained (NLC) are measured in the first draw alone" in report
    held = (own["verdict"] == "not worse").sum()
    assert len(own) == 3
    means = pd.read_csv(finished / "means.csv").query("other == @_differences.OWN")
    np.testing.assert_allclose(means["difference"], own["difference"], atol=1e-5)  # of one set
    assert (means["low"] <= means["high"]).all()
    assert report.count(f"**Not worse in {held} of 3 pairs of set and shots") == 2  # one head
    assert "- eurosat: EuroSAT is not available" in report  # skipped, and said
    mean = 100 * table(finished).query("rule == 'NLC' and shots == 'all'")["accuracy"].mean()
    rows = [line for line in report.splitlines() if line.startswith("| NLC | ")]
    assert any(row.endswith(f" {mean:.1f} |") for row in rows)
    links = [part.split(")")[0] for part in report.split("![](")[1:]]
    assert len(links) == 6
    assert all((finished / link).stat().st_size < 2**20 for link in links)


def test_second_run_repeats_nothing(finished, few, monkeypatch):
    before = table(finished)
    monkeypatch.setattr(_run, "_run_unit", None)
    monkeypatch.setattr(_embedding, "_embed", None)
    main([*command(finished), *ONE_IS_MISSING])
    pd.testing.assert_frame_equal(table(finished), before)


def test_draws_of_other_code_are_not_taken(finished, few, monkeypatch, tmp_path):
    folders = list(finished.glob("work/embeddings/few-*"))
    settings = settings_of(finished)
    _run.run_main(folders, ["1"], 1, settings, tmp_path, verbose=False)
    monkeypatch.setattr(_run, "digest_of_sources", lambda: "other")
    _run.run_main(folders, ["1"], 1, settings, tmp_path, verbose=False)
    measured = tmp_path.glob("results-*/*.parquet")
    assert len({path.parent for path in measured}) == 2


def test_more_draws_of_a_part_are_measured_later(finished, tmp_path):
    folders = list(finished.glob("work/embeddings/few-*"))
    settings = replace(settings_of(finished), trained_draws=1, diagnosis_draws=0)
    _run.run_main(folders, ["3"], 2, settings, tmp_path, verbose=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results-*/*.parquet")}
    more = replace(settings, trained_draws=2, diagnosis_draws=1)
    results, correct = _run.run_main(folders, ["3"], 2, more, tmp_path, verbose=False)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    draws = results.groupby("part")["draw"].agg(set).to_dict()
    assert draws == {_run.RULES: {0, 1}, _run.TRAINED: {0, 1}, _run.DIAGNOSIS: {0}}
    rules = results.query("kind == 'rule' and draw == 1")["rule"]
    assert list(rules) == [rule for rule in _systems.RULES if rule in RULES]
    _, right = correct["few", "3"].load()
    assert set(right["linear", "NLC"]) == {0, 1}


def test_the_former_default_is_measured_by_its_rule_alone(finished, tmp_path):
    X, about = _embedding.read_set(next(finished.glob("work/embeddings/few-*")))
    train, test = _run.split(about, "1", 0, 0)
    data = X[train], X[test], about["y"][train], about["y"][test]
    settings = _run.Settings(("zoo/RegNet", "zoo/ViT-16"), (_systems.FORMER,), rivals=())
    about = {**about, "class_names": None}
    (row,) = _run._measure(data, about, 0, _run.RULES, settings, tmp_path)
    assert (row["head"], row["rule"], row["status"]) == (_systems.FORMER, _systems.DEFAULT, "ok")


@pytest.mark.parametrize("head", ["zero-shot", "linear", "auto"])
def test_rules_share_fitted_heads(head, finished, tmp_path, monkeypatch):
    X, about = _embedding.read_set(next(finished.glob("work/embeddings/few-*")))
    train, test = _run.split(about, "3", 0, 0)
    settings = _run.Settings(("zoo/RegNet", "zoo/ViT-16"))
    names, kept = settings.columns_of("projected")
    X = X[:, kept]
    data = X[train], X[test], about["y"][train], about["y"][test]
    options = {"class_names": None, "templates": None, "random_state": 0}
    gflops = _embedding.gflops_of(settings.backbones)
    fit, fitted = Expert.fit, []
    monkeypatch.setattr(Expert, "fit", lambda self, *data: fitted.append(1) or fit(self, *data))
    n_fits = []
    every = [rule for rule in _systems.RULES if rule != _systems.PAPER_SPLIT]
    for part, rules in ((_run.RULES, ("Conf",)), (_run.RULES, every), (_run.TRAINED, every)):
        fitted.clear()
        some = replace(settings, rules=rules)
        rows = _run._measure_head(head, data, names, part, some, options, gflops, tmp_path)
        assert {row["status"] for row in rows} == {"ok"}
        n_fits.append(len(fitted))
    assert len(set(n_fits)) == 1


def test_experts_on_all_blocks_are_no_single_backbone(finished):
    X, about = _embedding.read_set(next(finished.glob("work/embeddings/few-*")))
    names, kept = settings_of(finished).columns_of("projected")
    X = X[:, kept]
    clf = _systems.make(_systems.DEFAULT, "auto", names, random_state=0)
    clf.fit(X[:40], about["y"][:40])
    gflops = {"zoo/RegNet": 1.0, "zoo/ViT-16": 2.0, "all": 3.0}
    right = np.ones((len(X) - 40, len(clf.experts_)), bool)
    rows = _run._expert_rows(clf, X[40:], right, gflops)
    assert [(row["rule"], row["gflops"]) for row in rows] == [
        ("single:zoo/RegNet:zero-shot", 1.0),
        ("single:zoo/ViT-16:zero-shot", 2.0),
        ("single:zoo/RegNet:kernel", 1.0),
        ("single:zoo/ViT-16:kernel", 2.0),
        ("expert:all:linear-all", 3.0),
    ]


def test_every_rule_has_its_name():
    """The names of rules in the tables stand for routers of the ensemble."""
    assert {_systems.make(rule, "linear", "zoo").calibrate for rule in _systems.NOT_JUDGED} == {
        False
    }
    learned = ("C-NLC, to the letter", "static", _systems.DEFAULT)
    assert all(_systems.make(rule, "linear", "zoo").calibrate for rule in learned)
    used = {_systems.make(rule, "linear", "zoo").router for rule in _systems.RULES}
    assert {router for router in used if isinstance(router, str)} == ROUTERS.keys()
    assert _systems.make("SL", "tip-adapter-f", "zoo").head.fine_tune
    assert _systems.make("SL", "clip-adapter", "zoo").head == "clip-adapter"


def test_same_seed_same_numbers(finished, few, tmp_path):
    main(command(tmp_path, "--shots", "1", "3", "--draws", "1"))
    before = table(finished).query("shots != 'all' and draw == 0")
    ours, theirs = (one.drop(columns=TIMED) for one in (table(tmp_path), before))
    pd.testing.assert_frame_equal(ours, theirs.reset_index(drop=True))


def test_embedding_goes_on_where_it_stopped(finished, few, tmp_path, monkeypatch):
    """A file that ends in the middle of a row loses that row only."""
    backbones = "zoo/RegNet", "zoo/ViT-16"
    whole = np.load(next(finished.glob("work/embeddings/few-*/X.npy")))
    options = {"verbose": False, "columns": _embedding.ALL_FEATURES}
    folder = _embedding.embed_set(few, backbones, tmp_path, **options)
    (folder / "X.npy").unlink()
    (folder / "X.part").write_bytes(whole[:50].tobytes() + b"half a row")
    seen = []
    embedder = _embedding.MultiBackboneEmbedder

    class Counting(embedder):
        def fit_transform(self, X, y=None):
            seen.extend(X)
            return super().fit_transform(X)

    monkeypatch.setattr(_embedding, "MultiBackboneEmbedder", Counting)
    _embedding.embed_set(few, backbones, tmp_path, **options)
    assert len(seen) == 30
    np.testing.assert_allclose(np.load(folder / "X.npy"), whole, atol=1e-4)


@pytest.mark.slow
def test_killed_run_goes_on(finished, few, tmp_path):
    """After kill -9 of a run, the next one keeps its files, and ends with the same numbers."""
    embeddings = next(finished.glob("work/embeddings/few-*"))
    source = f"""
from pathlib import Path
from benchmarks.paper import _run
settings = _run.Settings(("zoo/RegNet", "zoo/ViT-16"), ("linear",), {tuple(RULES)!r}, ())
_run.run_main([Path({str(embeddings)!r})], ["1", "3"], 40, settings, Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", source], cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("results-*/*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results-*/*.parquet")}
    assert 3 <= len(kept) < 80
    settings = _run.Settings(("zoo/RegNet", "zoo/ViT-16"), ("linear",), tuple(RULES), ())
    resumed, correct = _run.run_main([embeddings], ["1"], 6, settings, tmp_path, verbose=False)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert resumed["draw"].nunique() == 6
    tested, right = correct["few", "1"].load()
    assert len(tested) == 6
    for (_, rule), draws in right.items():
        assert len(draws) == (3 if rule == "NLC" or rule.startswith("achievable:") else 6)
    whole = table(finished).query("shots == '1' and kind == 'rule'")
    both = resumed.merge(whole, on=["set", "shots", "draw", "head", "rule"])
    assert len(both) == 2 * len(RULES) - 1
    np.testing.assert_allclose(both["accuracy_x"], both["accuracy_y"], atol=1e-5)


def test_pools_are_kept_apart():
    about = {
        "y": np.repeat(["a", "b"], 10),
        "train": np.arange(0, 20, 2),
        "test": np.arange(1, 20, 2),
    }
    for shots in ("1", "3", "all"):
        train, test = _run.split(about, shots, 1, 0)
        assert set(train) <= set(about["train"])
        np.testing.assert_array_equal(test, about["test"])
    assert _run.n_draws_of(about, "all", 10) == 1
    assert len(_run.split(about, "3", 0, 0)[0]) == 6


def test_some_classes_are_drawn_for_each_draw():
    y = np.repeat(list("abcdef"), 10)
    about = {"y": y, "train": None, "test": None}
    seen = set()
    for draw in range(4):
        train, test = _run.split(about, "3", draw, 0, 2)
        more, _ = _run.split(about, "4", draw, 0, 2)
        assert len(train) == 6 and set(train) < set(more)
        assert set(y[train]) == set(y[test]) and len(set(y[test])) == 2
        seen |= set(y[train])
    assert len(seen) > 2
    for n_classes in (None, 6, 9):
        train, _ = _run.split(about, "3", 0, 0, n_classes)
        np.testing.assert_array_equal(train, _run.split(about, "3", 0, 0)[0])
    about = about | {"train": np.arange(0, 60, 2), "test": np.arange(1, 60, 2)}
    assert _run.n_draws_of(about, "all", 10, 2) == 10


def test_folders_are_backbones(few, tmp_path):
    """Their tables show the end of their paths."""
    for name in ("RN20", "ViT-16"):
        shutil.copytree(WEIGHTS / name, tmp_path / "models" / "mine" / name)
    shutil.copy(WEIGHTS.parent / "vocabulary.txt.gz", tmp_path / "models")
    folders = [str(tmp_path / "models" / "mine" / name) for name in ("RN20", "ViT-16")]
    less = ["--rules", "static", "--rivals", "--shots", "3", "--draws", "1", "--classes", "2"]
    main([*command(tmp_path / "output"), *less, "--backbones", *folders])
    singles = table(tmp_path / "output").query("kind == 'single'")
    assert set(singles["rule"]) == {"single:mine/RN20", "single:mine/ViT-16"}
    report = (tmp_path / "output" / "results.md").read_text()
    assert "Backbones: mine/RN20, mine/ViT-16." in report
    assert "Each draw has 2 classes at most, drawn at random." in " ".join(report.split())
    assert " nan |" not in report


MORE_HEADS = (_systems.POOLED_PROBE, _systems.IMAGE_EMBEDDINGS, "auto")


@pytest.fixture(scope="module")
def viewed(few_digits, tmp_path_factory):
    """The same draws, with views and pooled features."""
    output = tmp_path_factory.mktemp("viewed")
    kinds = ["--views", "mirror", "--features", "both", "--keep-plain", "--shots", "1", "3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_sets.LOCAL, "few", lambda: few_digits)
        heads = ["--heads", "zero-shot", "linear", *MORE_HEADS]
        main([*command(output), *kinds, *heads, "--rules", "Log-Avg", _systems.DEFAULT])
    return output


def test_views_and_pooled_features(viewed):
    results = table(viewed)
    assert (results.loc[results["accuracy"].isna(), "rule"] == "StackingClassifier").all()
    endings = ("", "@views", "@pooled", "@pooled+views")
    singles = results.query("kind == 'single'").groupby("head")["rule"].unique()
    names = [f"single:{name}{end}" for name in ("zoo/RegNet", "zoo/ViT-16") for end in endings]
    projected = [name for name in names if "pooled" not in name]
    assert list(singles["linear"]) == list(singles["zero-shot"]) == projected
    assert list(singles[_systems.POOLED_PROBE]) == [name for name in names if "pooled" in name]
    costs = results.groupby("rule")["gflops"].first()
    assert costs[names[1]] == costs[names[3]] == pytest.approx(2 * costs[names[0]], rel=1e-2)
    assert costs["Log-Avg"] == pytest.approx(costs[names[1]] + costs[names[5]], rel=1e-2)
    defaults = results[results["rule"] == _systems.DEFAULT].set_index(["head", "shots", "draw"])
    both, image = (defaults["accuracy"][head] for head in ("auto", _systems.IMAGE_EMBEDDINGS))
    assert len(both) == len(image) and not both.equals(image)
    differences = pd.read_csv(viewed / "differences.csv")
    gap = differences[differences["other"] == _systems.IMAGE_EMBEDDINGS].iloc[-1]
    assert gap["kind"] == "default" and gap["difference"] == pytest.approx(
        (both["3"] - image["3"]).mean(), abs=1e-4
    )
    X, _ = _embedding.read_set(next(viewed.glob("work/embeddings/few-*")))
    assert X.shape[1] == 2 * (128 + 368 + 128 + 160)
    text = "Columns: projected and pooled features of views (mirror), and those of the image alone"
    assert text in " ".join((viewed / "results.md").read_text().split())


def test_a_head_that_has_no_columns_is_left_out(finished, tmp_path):
    X, about = _embedding.read_set(next(finished.glob("work/embeddings/few-*")))
    heads = (_systems.POOLED_PROBE, "linear")
    options = {"rules": ("static",), "rivals": (), "columns": _embedding.PLAIN}
    settings = _run.Settings(("zoo/RegNet", "zoo/ViT-16"), heads, **options)
    X = X[:, replace(settings, columns=_embedding.ALL_FEATURES).columns_of("projected")[1]]
    train, test = _run.split(about, "1", 0, 0)
    data = X[train], X[test], about["y"][train], about["y"][test]
    about = {**about, "class_names": None}
    rows = _run._measure(data, about, 9, _run.RULES, settings, tmp_path)
    assert {row["head"] for row in rows} == {"linear"}


def test_columns_name_the_folder_of_embeddings(few, finished, viewed):
    (plain,), (views,) = (out.glob("work/embeddings/few-*") for out in (finished, viewed))
    assert plain.name != views.name
    assert _embedding.blocks_of(["zoo/ViT-16"]) == {"zoo/ViT-16": slice(0, 128)}
    assert str(_embedding.PLAIN) == "projected features of the image alone"
    with pytest.raises(SystemExit):
        parse(["--views", "mirror", "--experiments", "cascade"])
    assert parse(["--views", "mirror", "--experiments", "main", "ablation"]).views == "mirror"


def test_two_tables_side_by_side(finished, viewed, tmp_path, capsys):
    system = ["--head", "linear", "--rule", _systems.DEFAULT]
    beside.main([str(viewed), str(finished), *system])
    printed = capsys.readouterr().out
    ours, theirs = (
        table(out)
        .query(f"head == 'linear' and rule == '{_systems.DEFAULT}'")
        .groupby("shots")["accuracy"]
        .mean()
        for out in (viewed, finished)
    )
    row = next(line for line in printed.splitlines() if line.startswith("| few |"))
    cells = [cell.strip(" *").split()[0] for cell in row.split("|")[2:-1]]
    np.testing.assert_allclose(
        [float(c) for c in cells], 100 * (ours - theirs)[["1", "3"]], atol=0.06
    )
    beside.main([str(finished), str(finished), *system])
    assert (
        "| few | +0.0 [0.0, 0.0] | +0.0 [0.0, 0.0] | +0.0 [0.0, 0.0] |" in capsys.readouterr().out
    )
    with pytest.raises(beside.OtherRunError, match="has no results"):
        beside.main([str(viewed), str(tmp_path), *system])
    with pytest.raises(beside.OtherRunError, match="not that of the table"):
        beside.main([str(viewed), str(finished), *system, "--works", *[str(viewed / "work")] * 2])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no set 'emojis'"):
        _sets.expand(["emojis"])
    with pytest.raises(SystemExit):
        parse(["--shots", "none"])


def test_settings_name_their_folder():
    one = _run.Settings(("zoo/RN20",))
    assert one.key == _run.Settings(("zoo/RN20",)).key
    assert one.key != _run.Settings(("zoo/RN20",), seed=1).key


def test_settings_of_other_code_name_another_folder(monkeypatch):
    one = _run.Settings(("zoo/RN20",))
    before = one.key
    monkeypatch.setattr(_run, "digest_of_sources", lambda: "other")
    assert one.key != before
