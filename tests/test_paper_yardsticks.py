"""What the benchmark of the paper measures by: what is right, differences, headroom, rivals."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

pytest.importorskip("pyarrow")
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.paper import (
    _achievable,
    _asked,
    _checks,
    _correct,
    _differences,
    _report,
    _rivals,
    _systems,
)
from skclipens import AdaptiveBackboneEnsemble
from skclipens.model_selection._intervals import crossed_bootstrap, ends

DEFAULT = _systems.DEFAULT


# What is right


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(0, 4))
@settings(max_examples=30)
def test_what_is_right_is_read_as_it_was_written(tmp_path_factory, seed, n, n_systems):
    rng = np.random.default_rng(seed)
    images = rng.permutation(100)[:n]
    right = {("auto", f"rule {i}"): rng.random(n) < 0.5 for i in range(n_systems)}
    path = tmp_path_factory.mktemp("right") / "draw.npz"
    _correct.write(path, images, right)
    assert [one.name for one in path.parent.iterdir()] == ["draw.npz"]
    found, read = _correct.read(path)
    np.testing.assert_array_equal(found, images)
    assert read.keys() == right.keys()
    assert all((read[system] == right[system]).all() for system in right)


def test_images_are_matched_over_draws(tmp_path):
    paths = {1: tmp_path / "1.npz", 0: tmp_path / "0.npz"}
    both, once = ("auto", DEFAULT), ("none", "rival")
    _correct.write(paths[0], np.array([7, 3]), {both: np.array([True, False])})
    right = {both: np.array([True, True]), once: np.array([False, True])}
    _correct.write(paths[1], np.array([9, 3]), right)
    tested, found = _correct.Correctness({draw: [path] for draw, path in paths.items()}).load()
    np.testing.assert_array_equal(tested, [[True, True, False], [True, False, True]])
    np.testing.assert_array_equal(found[both][0], [False, True, False])
    np.testing.assert_array_equal(found[both][1], [True, False, True])
    assert list(found[once]) == [1]


# Differences


def measured(tmp_path, accuracies, n_draws=4, n_images=400, name="s"):
    """A table of results, and what is right, of systems of given accuracies."""
    rng = np.random.default_rng(0)
    rows, paths = [], {}
    for draw in range(n_draws):
        luck = rng.random(n_images)
        right = {system: luck < accuracy for system, (_, accuracy) in accuracies.items()}
        paths[draw] = [tmp_path / f"{name}-{draw}.npz"]
        _correct.write(*paths[draw], np.arange(n_images), right)
        place = {"set": name, "shots": "4", "draw": draw, "status": "ok", "routing_share": np.nan}
        for (head, rule), (kind, _) in accuracies.items():
            accuracy = right[head, rule].mean()
            rows.append(place | {"head": head, "rule": rule, "kind": kind, "accuracy": accuracy})
        reference = {"head": "auto", "rule": "oracle", "kind": "reference", "accuracy": 0.9}
        rows.append(place | reference)
    results = pd.DataFrame(rows)
    results.loc[results["kind"] == "single", "routing_share"] = 0.5
    return results, {(name, "4"): _correct.Correctness(paths)}


ACCURACIES = {
    ("auto", DEFAULT): ("rule", 0.6),
    ("auto", "NLC"): ("rule", 0.7),
    ("auto", "single:A"): ("single", 0.5),
    ("auto", "single:B"): ("single", 0.4),
    ("zero-shot", DEFAULT): ("rule", 0.5),
    ("zero-shot", "single:A"): ("single", 0.8),
    ("none", "rival"): ("rival", 0.6),
    ("auto", "achievable:static"): ("diagnosis", 0.62),
    ("auto", "achievable:stacker, C=1"): ("diagnosis", 0.7),
}


def test_differences_and_their_verdicts(tmp_path):
    results, correct = measured(tmp_path, ACCURACIES)
    compared = _differences.differences(results, correct)
    auto = compared[compared["head"] == "auto"].set_index("other")
    verdicts = {
        _differences.OWN: "not worse",
        _differences.ANY: "worse",
        "NLC": "worse",
        "rival": "not worse",
    }
    assert auto["verdict"].to_dict() == verdicts
    assert auto["system"][_differences.ANY] == "zero-shot, single:A"
    zero_shot = compared[compared["head"] == "zero-shot"]
    assert set(zero_shot["other"]) == {_differences.OWN}  # rivals: of the main head only
    means = results.groupby(["head", "rule"])["accuracy"].mean()
    gap = means["auto", DEFAULT] - means["auto", "NLC"]
    assert auto["difference"]["NLC"] == pytest.approx(gap)
    _, right = correct["s", "4"].load()
    ours, theirs = (np.stack(list(right["auto", rule].values())) for rule in (DEFAULT, "NLC"))
    row = auto.loc["NLC"]
    expected = ends(crossed_bootstrap(ours.astype(float) - theirs))
    np.testing.assert_allclose(row[["low", "high"]].astype(float), expected)


def test_the_default_against_the_former_one(tmp_path):
    former = {(_systems.FORMER, DEFAULT): ("rule", 0.5)}
    results, correct = measured(tmp_path, {**ACCURACIES, **former})
    compared = _differences.differences(results, correct)
    assert _differences.main_head(results) == "auto"
    assert not (compared["head"] == _systems.FORMER).any()
    row = compared.set_index(["head", "other"]).loc["auto", _systems.FORMER]
    means = results.groupby(["head", "rule"])["accuracy"].mean()
    gap = means["auto", DEFAULT] - means[_systems.FORMER, DEFAULT]
    assert row["difference"] == pytest.approx(gap)
    report = _asked.section(results, compared)
    _, _, part = report.partition("### Against the former default\n\n**Not worse in 1 of 1 pairs")
    text = _asked._points(row)
    assert f"| s | {text} |\n| mean over sets | {text} |" in part
    assert _systems.FORMER not in report.partition("### Every rule and every rival")[2]


def test_systems_that_miss_draws_are_compared_over_those_they_have(tmp_path):
    results, correct = measured(tmp_path, ACCURACIES)
    (stored,) = correct.values()
    (path,) = stored.paths[0]
    images, right = _correct.read(path)
    del right["none", "rival"]
    _correct.write(path, images, right)
    compared = _differences.differences(results, correct).set_index(["head", "other"])
    assert compared["draws"]["auto", "rival"] == 3
    assert compared["draws"]["auto", "NLC"] == 4


def test_perturbed_copies_are_shown_but_not_counted(tmp_path):
    results, correct = measured(tmp_path, ACCURACIES)
    worse = ACCURACIES | {("auto", DEFAULT): ("rule", 0.1)}
    copies, of_copies = measured(tmp_path, worse, name="emoji-perturbed")
    results, correct = pd.concat([results, copies], ignore_index=True), correct | of_copies
    compared = _differences.differences(results, correct)
    assert set(compared["set"]) == {"s", "emoji-perturbed"}
    means = _differences.over_sets(compared)
    assert (means["sets"] == 1).all()
    assert means.set_index("other").loc[_differences.OWN, "difference"].iloc[0] > 0
    report = _asked.section(results, compared)
    assert "**Not worse in 1 of 1 pairs of set and shots; mean difference +10." in report
    assert "| emoji-perturbed | **-" in report
    cells = _checks.headroom(results)
    assert _checks.over_sets(cells).loc[("auto", "4"), "default"] == pytest.approx(0.6, abs=0.05)


def test_a_table_is_led_by_what_all_draws_have(tmp_path):
    results, _ = measured(tmp_path, ACCURACIES)
    led = "**Highest at 4 shots: NLC, "
    assert led in _report._main_tables(results)
    some = results["rule"].eq("NLC") & results["draw"].gt(0)
    assert led not in _report._main_tables(results[~some])


def test_misses_are_in_the_first_line(tmp_path):
    results, correct = measured(tmp_path, ACCURACIES)
    compared = _differences.differences(results, correct)
    report = _asked.section(results, compared)
    assert "**Not worse in 0 of 1 pairs of set and shots (worse in 1); mean" in report
    assert "Furthest behind: best single backbone, any head, 4 (-" in report
    assert "## s\n\n**Not worse in 2 of 4 comparisons (worse in 2)" in _asked.per_set(
        results, compared
    )


# Headroom


def test_shares_of_what_there_was_to_gain(tmp_path):
    results, _ = measured(tmp_path, ACCURACIES)
    some = results["kind"].eq("diagnosis") & results["draw"].gt(1)
    cells = _checks.headroom(results[~some])
    cell = cells[cells["head"] == "auto"].iloc[0]
    table = results.groupby(["rule", "head", "draw"])["accuracy"].mean().unstack("draw")
    default, best = (table.loc[(rule, "auto")] for rule in (DEFAULT, "single:A"))
    stacker = table.loc["achievable:stacker, C=1", "auto"][:2].mean()
    assert cell["achievable"] == cell["stackers"] == pytest.approx(stacker)
    assert cell["routers"] < cell["stackers"]
    assert "**The default is above all combinations on test labels in 0 of 1 pairs" in "".join(
        _asked._gains(results[~some])
    )
    shares = _checks.over_sets(cells).loc["auto", "4"]
    gap = default[:2].mean() - best[:2].mean()
    assert shares["of_achievable"] == pytest.approx(gap / (stacker - best[:2].mean()))
    assert shares["of_oracle"] == pytest.approx((default - best).mean() / (0.9 - best.mean()))


def table_of_two_blocks(n=600, n_classes=4, seed=0):
    """Each block tells the class where the sign of its last column says so."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    side = rng.random(n) < 0.5
    parts = []
    for known in (side, ~side):
        shown = np.where(known, y, rng.integers(n_classes, size=n))
        block = np.eye(n_classes)[shown] + 0.2 * rng.standard_normal((n, n_classes))
        parts.append(np.column_stack([block, np.where(known, 1.0, -1.0)]))
    return np.hstack(parts), y


@pytest.fixture(scope="module")
def fitted():
    X, y = table_of_two_blocks()
    blocks = [("a", slice(0, 5)), ("b", slice(5, 10))]
    clf = AdaptiveBackboneEnsemble(blocks, head="linear", router="uniform", random_state=0)
    return clf.fit(X[:100], y[:100]), X[100:], y[100:]


def test_achievable_finds_what_a_router_could_do(fitted):
    clf, X, y = fitted
    right = _achievable.cross_fitted(clf, X, y)
    assert list(right) == list(_achievable.CANDIDATES)
    accuracy = {name: row.mean() for name, row in right.items()}
    assert accuracy["gates, strength 0.01"] > accuracy["static"] + 0.02
    few = _achievable.cross_fitted(clf, X, y, max_rows=50)
    assert all(len(row) == len(y) for row in few.values())


def test_achievable_is_not_shown_the_rows_that_it_is_asked_for(fitted):
    """Labels that nothing can know are not achieved, and the experts stay as they are."""
    clf, X, _ = fitted
    before = clf.transform(X)
    y = np.random.default_rng(1).integers(4, size=len(X))
    right = _achievable.cross_fitted(clf, X, y)
    assert max(row.mean() for row in right.values()) < 0.36
    np.testing.assert_array_equal(clf.transform(X), before)


# Rivals


def blocks():
    return [("a", np.arange(5)), ("b", np.arange(5, 10))]


def make_rival(name, y):
    return _rivals.make(name, blocks(), y, GaussianNB())  # in place of prompts


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NearestCentroid, one row
@pytest.mark.parametrize("name", _rivals.RIVALS)
@pytest.mark.parametrize("n_shots", [1, 2, 5])
def test_rivals_on_few_shots(name, n_shots):
    X, y = table_of_two_blocks()
    train = np.concatenate([np.flatnonzero(y == c)[:n_shots] for c in range(4)])
    held_out = name in ("KNORA-E (DESlib)", "StackingClassifier")
    if name.startswith("KNORA"):
        pytest.importorskip("deslib")
    if held_out and n_shots == 1:
        with pytest.raises(_rivals.NotAvailableError, match="two of each class"):
            make_rival(name, y[train])
        return
    rival = make_rival(name, y[train]).fit(X[train], y[train])
    assert np.mean(rival.predict(X) == y) > 0.25


def test_search_is_over_the_folds_that_labels_allow():
    few, more = np.repeat([0, 1], 2), np.repeat([0, 1], 3000)
    searched = make_rival(_rivals.SEARCHED, few)
    assert isinstance(searched, GridSearchCV)
    assert searched.cv.get_n_splits(None, few) == 2
    assert isinstance(make_rival(_rivals.SEARCHED, few[1:3]), LogisticRegression)
    for name, n_train in ((_rivals.SEARCHED, 2000), (_rivals.KERNEL, 800)):
        ((train, test),) = make_rival(name, more).cv.split(more, more)
        assert (len(train), len(test)) == (n_train, n_train // 2)
    many = np.repeat(np.arange(500), 2)  # a third of the rows has not all classes
    assert make_rival(_rivals.KERNEL, many).cv.get_n_splits(None, many) == 2


def test_final_of_stacking_is_searched():
    stacking = make_rival("StackingClassifier", np.repeat([0, 1], 4))
    assert isinstance(stacking.final_estimator, GridSearchCV)


def test_knora_selects_by_rows_that_its_pool_has_not_seen():
    """What is learned by heart, and is wrong elsewhere, is no competence."""
    pytest.importorskip("deslib")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 10)), rng.integers(4, size=200)
    pool = [KNeighborsClassifier(1), KNeighborsClassifier(1)]
    rival = _rivals.KnoraE(pool).fit(X, np.array(["a", "b", "c", "d"])[y])
    assert (pool[0].predict(X) == np.array(["a", "b", "c", "d"])[y]).all()
    assert rival.rule_.DSEL_processed_.mean() < 0.4
    assert set(rival.predict(X)) == {"a", "b", "c", "d"}
