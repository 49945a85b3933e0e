"""Rows without labels: refused, left out, or used where labelled rows vouch for it."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from _said import said
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens._utils._class_texts import warn_of_classes
from skclipens.datasets import load_emoji
from skclipens.ensemble import _unlabeled
from skclipens.ensemble._unlabeled import WhitenedRows, _calibrated
from skclipens.heads import LinearDiscriminantHead
from skclipens.model_selection import FewShotSplit

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-16"]
NAMES = [
    f"the number {name}" for name in "zero one two three four five six seven eight nine".split()
]


@pytest.fixture(scope="module")
def digits():
    """Embeddings of digits, of which prompts know little, and their labels."""
    data = load_digits()
    images = list((255 - data.images[:600] * (255 / 16)).astype(np.uint8))
    return MultiBackboneEmbedder(BACKBONES).fit_transform(images), data.target[:600]


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of emoji, of which prompts know much, their labels and their files."""
    data = load_emoji(min_class_size=40)
    labels = data.target_names[data.target].astype(object)
    files = np.asarray(data.filenames)
    X = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas").fit_transform(files)
    return X, labels, files


def make(**parameters):
    options = {"class_names": NAMES, "unlabeled": "use", "random_state": 0}
    return AdaptiveBackboneEnsemble(BACKBONES, **{**options, **parameters})


def few_shots(y, n_shots, *, seed=0, n_unlabeled=300):
    """Labels of which all but some per class are gone, in rows to fit on; and the other rows."""
    train, rest = next(FewShotSplit(n_shots, random_state=seed).split(y, y))
    seen, new = rest[:n_unlabeled], rest[n_unlabeled:]
    rows = np.random.default_rng(seed).permutation(np.r_[train, seen])
    labeled = np.isin(rows, train)
    return rows, labeled, np.where(labeled, y[rows], -1), new


# What they add


@pytest.mark.parametrize("n_shots", [1, 2, 4])
def test_digits_without_labels_lower_the_loss_on_new_ones(digits, n_shots):
    X, y = digits
    with_them, without = [], []
    for seed in range(3):
        rows, _, some, new = few_shots(y, n_shots, seed=seed)
        for unlabeled, losses in (("use", with_them), ("ignore", without)):
            clf = make(unlabeled=unlabeled, random_state=seed).fit(X[rows], some)
            losses.append(log_loss(y[new], clf.predict_proba(X[new])))
    assert np.mean(with_them) <= np.mean(without)


def test_a_class_with_fewer_labels_than_the_others(digits):
    X, y = digits
    rows, _, some, new = few_shots(y, 2)
    some[np.flatnonzero(some == 3)[0]] = -1  # a fold holds out the other one
    clf = make().fit(X[rows], some)
    assert clf.predict_proba(X[new]).shape == (len(new), 10)


def test_they_correct_logits_and_nothing_else(digits):
    X, y = digits
    rows, labeled, some, new = few_shots(y, 1)
    clf = make().fit(X[rows], some)
    without = make(unlabeled="error").fit(X[rows][labeled], some[labeled])
    added = clf.unlabeled_
    assert added.n_rows == 300 and added.spread > 0 and np.isnan(added.gain)
    assert_allclose(
        clf.decision_function(X[new]),
        log_softmax(added.correct(without.decision_function(X[new]), X[new]), axis=1),
        rtol=1e-5,
        atol=1e-5,
    )
    assert_allclose(clf.expert_proba(X[new]), without.expert_proba(X[new]))
    assert_allclose(clf.routing_weights(X[new]), without.routing_weights(X[new]))
    assert clf.predict_proba(X[new]).dtype == X.dtype


def test_held_out_rows_say_how_far(digits, monkeypatch):
    X, y = digits
    rows, _, some, _ = few_shots(y, 4)
    added = make().fit(X[rows], some).unlabeled_
    assert added.spread in _unlabeled.SPREADS and added.gain > 0
    least = _unlabeled.SPREADS[0]
    monkeypatch.setattr(_unlabeled, "SPREADS", (least,))
    assert added.spread > least and added.gain > make().fit(X[rows], some).unlabeled_.gain


def test_of_one_row_per_class_prompts_say_how_far(digits, emoji):
    spreads = []
    for (X, y), names in ((digits, NAMES), (emoji[:2], None)):
        rows, labeled, some, _ = few_shots(y, 1)
        some = np.where(labeled, some, None)
        spreads.append(make(class_names=names).fit(np.asarray(X)[rows], some).unlabeled_.spread)
    assert 0.5 < spreads[0] < 1 and spreads[1] < 1e-3


def test_rows_may_stand_in_any_order(digits):
    X, y = digits
    rows, labeled, some, new = few_shots(y, 2)
    order = np.argsort(~labeled, kind="stable")
    ours = make().fit(X[rows], some).decision_function(X[new])
    theirs = make().fit(X[rows][order], some[order]).decision_function(X[new])
    assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


# Where they are not let in


def test_good_prompts_leave_nothing_to_add(emoji):
    X, y, _ = emoji
    rows, labeled, some, new = few_shots(y, 2, n_unlabeled=150)
    some = np.where(labeled, some, None)
    clf = make(class_names=None).fit(X.iloc[rows], some)
    without = make(class_names=None, unlabeled="ignore").fit(X.iloc[rows], some)
    assert clf.unlabeled_ is None or clf.unlabeled_.gain > 0
    assert clf.score(X.iloc[new], y[new]) >= without.score(X.iloc[new], y[new]) - 0.02


@pytest.mark.parametrize("n_shots", [1, 4])
def test_few_of_the_classes_do_no_harm(digits, n_shots):
    X, y = digits
    rows, labeled, some, new = few_shots(y, n_shots)
    kept = labeled | np.isin(y[rows], [3, 7])
    clf = make().fit(X[rows][kept], some[kept])
    without = make(unlabeled="ignore").fit(X[rows][kept], some[kept])
    assert clf.score(X[new], y[new]) >= without.score(X[new], y[new]) - 0.02


def test_rows_of_another_kind_are_not_let_in(digits, emoji):
    X, y = digits
    rows, labeled, some, _ = few_shots(y, 1)
    others = np.concatenate([X[rows][labeled], emoji[0].to_numpy()[:200]])
    labels = np.r_[some[labeled], np.full(200, -1)]
    assert make().fit(others, labels).unlabeled_ is None


def test_nothing_is_let_in_where_nothing_is_judged(digits):
    X, y = digits
    rows, _, some, _ = few_shots(y, 1)
    clf = make(router="uniform", calibrate=False).fit(X[rows], some)
    assert clf.unlabeled_ is None


# The labels


def test_by_default_a_missing_label_is_an_error_that_names_the_option(digits):
    X, y = digits
    some = np.where(np.arange(len(y)) % 5 == 3, -1, y)
    message = "the first is row 3, with -1. Label these rows .* or see the parameter 'unlabeled'"
    with pytest.raises(ValueError, match=message):
        AdaptiveBackboneEnsemble(BACKBONES, class_names=NAMES).fit(X, some)


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: y,
        lambda y: y.tolist(),
        lambda y: pd.Series(y),
        lambda y: np.where(y < 0, np.nan, y),
        lambda y: [None if one < 0 else int(one) for one in y],
        lambda y: pd.Series(y).where(y >= 0).astype("Int64"),
    ],
)
def test_signs_of_a_missing_label(digits, labels):
    X, y = digits
    rows, labeled, some, new = few_shots(y, 2, n_unlabeled=50)
    options = {"head": "linear-all", "class_names": None}
    expected = make(**options).fit(X[rows][labeled], some[labeled])
    for unlabeled in ("ignore", "use"):
        clf = make(unlabeled=unlabeled, **options).fit(X[rows], labels(some))
        assert_array_equal(clf.classes_, expected.classes_)
        if unlabeled == "ignore":
            assert_array_equal(clf.decision_function(X[new]), expected.decision_function(X[new]))


@pytest.mark.parametrize("sign", [None, np.nan, ""])
def test_signs_among_strings(emoji, sign):
    X, y, _ = emoji
    some = y.copy()
    some[::3] = sign
    clf = make(head="linear-all", class_names=None).fit(X, some)
    assert_array_equal(clf.classes_, np.unique(y))
    assert_array_equal(clf.feature_names_in_, X.columns)


@pytest.mark.parametrize("kind", [list, lambda y: np.array(y, object), pd.Series])
def test_minus_one_among_strings_is_to_be_none(digits, kind):
    X, y = digits
    rows = few_shots(y, 4, n_unlabeled=20)[0]
    names = np.array(NAMES, object)[y[rows]]
    names[3] = -1
    message = "the number -1 in row 3. .* write None in place of -1"
    for unlabeled in ("ignore", "use"):
        clf = make(unlabeled=unlabeled, head="linear", class_names=None)
        with pytest.raises(ValueError, match=message):
            clf.fit(X[rows], kind([np.nan, *names[1:]]))
        names_and_none = [None if name == -1 else name for name in names]
        assert set(clf.fit(X[rows], names_and_none).classes_) == set(NAMES)


@pytest.mark.parametrize("unlabeled", ["error", "ignore", "use"])
@pytest.mark.parametrize("text", ["nan", "None", "<NA>", "-1"])
def test_a_class_that_is_the_text_of_a_missing_label_is_doubted_once(digits, unlabeled, text):
    X, y = digits
    rows = few_shots(y, 4, n_unlabeled=20)[0]
    names = np.array(NAMES, object)[y[rows]]
    names[[3, 5]] = text
    clf = make(unlabeled=unlabeled, head=["linear", "linear-all"], class_names=None)
    with pytest.warns(UserWarning) as caught:
        clf.fit(X[rows], names)
    (doubt,) = [one for one in caught if "astype(str)" in str(one.message)]
    assert f"the class {text!r}, first in row 3" in str(doubt.message)
    assert doubt.filename == __file__
    names[[3, 5]] = "nano"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        clf.fit(X[rows], names)
        signs = np.where(y[rows] > 4, "1", "-1")
        clf.fit(X[rows], signs)


def test_a_class_that_stands_for_no_label_where_none_counts_as_missing(digits):
    X, y = digits
    rows = few_shots(y, 4, n_unlabeled=20)[0]
    names = np.array(NAMES, object)[y[rows]]

    def told(labels, unlabeled):
        return said(make(unlabeled=unlabeled, head="linear", class_names=None).fit, X[rows], labels)

    for text in ("unknown", "None ", "-999"):
        some = names.copy()
        some[[3, 5]] = text
        if text == "-999":
            some = [-999 if name == text else NAMES.index(name) for name in some]
        (text_use,) = told(some, "use")
        assert text_use.startswith("No row lacks a label, as unlabeled='use' expects. y has the cl")
        assert "in row 3. This" in text_use
        assert len(told(some, "error")) == (text != "unknown")  # which may be a class
        some[0] = None
        assert len(told(some, "ignore")) == (text != "unknown")


@pytest.mark.parametrize(
    ("classes", "doubted"),
    [
        (["cat", "NaN"], True),
        (["cat", " "], True),
        (["cat", "\t\n"], True),
        (["cat", "#N/A"], True),
        (["cat", "Not labelled"], True),
        (["cat", "--"], True),
        (["..-", "--"], False),
        (["Ann", "Nan"], False),
        (["defect", "none"], False),
        ([-999, 0, 1, 2], True),
        ([-2, 1, 2, 3], False),
        ([-2, 0, 2], False),
        ([-9, 0, 9, 18], False),
        ([0, 1, 255], True),
        (np.array([-1, 0, 1, 2]).astype(np.uint8), True),
        (np.array([-1, 1, 2]).astype(np.uint64), True),
        ([np.iinfo(int).min, 0, 1], True),  # NaN as an integer
        ([0, 1, 254], False),
        ([0, 2, 255], False),
        (range(256), False),
    ],
)
def test_words_and_numbers_of_a_missing_label(classes, doubted):
    texts = said(warn_of_classes, np.asarray(classes))
    assert ["a missing label" in text for text in texts] == [True] * doubted


@pytest.mark.parametrize("unlabeled", ["ignore", "use"])
@pytest.mark.parametrize(
    "labels, message",
    [
        (
            lambda y: np.full(len(y), -1),
            "^0 of 600 rows of y have a label",
        ),
        (
            lambda y: np.where(y == 3, 3, -1),
            "and these are of fewer than two classes. Label rows",
        ),
        (lambda y: np.where(y == 3, 1, -1), "than two classes.* -1 among numbers stand for no"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: y + 0.5, "Unknown label type"),
        (lambda y: np.where(y == 3, "three", y.astype(object)), "Unknown label type|mix"),
        (lambda y: None, "requires y to be passed"),
    ],
)
def test_wrong_labels(digits, unlabeled, labels, message):
    X, y = digits
    with pytest.raises(ValueError, match=message):
        make(unlabeled=unlabeled, head="linear").fit(X, labels(y))


def test_unknown_option():
    with pytest.raises(ValueError, match="The 'unlabeled' parameter"):
        make(unlabeled="maybe").fit(np.eye(4), [0, 0, 1, 1])


def test_rows_of_one_object_may_lack_labels(digits):
    X, y = digits[0][:100], np.where(np.arange(100) % 2, digits[1][:100], -1)
    frame = pd.DataFrame(X, index=np.arange(100) // 2).add_prefix("column ")
    clf = make(head="linear", unlabeled="ignore").set_params(blocks={"all": slice(None)})
    assert not said(clf.fit, frame, y)
    expected = clone(clf).fit(X, y).predict(X)
    assert_array_equal(clf.predict(frame), expected)


def test_all_labelled_is_as_ever(digits):
    X, y = digits
    options = {"head": "linear-all"}
    clf = make(**options).fit(X[:100], y[:100])
    assert clf.unlabeled_ is None
    expected = make(unlabeled="error", **options).fit(X[:100], y[:100])
    assert_array_equal(clf.decision_function(X), expected.decision_function(X))


# Composition


def test_weights(digits):
    X, y = digits
    rows, labeled, some, new = few_shots(y, 1)
    weights = np.where(labeled, 1.0, 0.0)
    without = make().fit(X[rows], some, sample_weight=weights)
    assert without.unlabeled_ is None
    whole, light = make(), make()
    whole.fit(X[rows], some)
    light.fit(X[rows], some, sample_weight=np.where(labeled, 1.0, 0.1))
    assert light.unlabeled_.n_rows == whole.unlabeled_.n_rows
    assert not np.allclose(light.decision_function(X[new]), whole.decision_function(X[new]))
    with pytest.raises(ValueError, match="No row with a label has a weight above zero"):
        make().fit(X[rows], some, sample_weight=1 - weights)


@pytest.mark.parametrize("n_shots", [1, 2])
def test_a_weight_stands_for_copies(n_shots, digits):
    X, y = digits
    rows, labeled, some, new = few_shots(y, n_shots, seed=1)
    options = {"head": "linear", "class_names": None}
    weights = np.random.default_rng(0).integers(1, 4, len(rows))
    weighted = make(**options).fit(X[rows], some, sample_weight=weights)
    copied = make(**options).fit(X[rows.repeat(weights)], some.repeat(weights))
    assert weighted.unlabeled_ is not None
    assert copied.unlabeled_.n_rows == weighted.unlabeled_.n_rows == np.sum(~labeled)
    found, expected = (one.decision_function(X[new]) for one in (copied, weighted))
    assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_held_out_rows_count_by_their_weights():
    """Copies of a row are merged before a fit, so that those of the test above do not show this."""
    rng = np.random.default_rng(0)
    logits, targets, weights = rng.normal(size=(60, 4)), np.arange(60) % 4, np.arange(60) // 4 % 3
    logits[np.arange(60), targets] += 2.0 * weights
    temperature, losses = _calibrated(logits, targets, weights)
    copies = np.arange(60).repeat(weights)
    expected, of_copies = _calibrated(logits[copies], targets[copies], np.ones(len(copies)))
    assert temperature == pytest.approx(expected, rel=1e-3)
    assert_allclose(losses[copies], of_copies, rtol=1e-3)
    assert temperature != pytest.approx(_calibrated(logits, targets, None)[0], rel=0.1)


def test_rows_of_next_to_no_weight_shut_out_no_others(digits):
    X, y = digits
    rows, _, some, new = few_shots(y, 2, seed=1)
    options = {"head": "linear", "class_names": None}
    expected = make(**options).fit(X[rows], some)
    table = np.concatenate([X[rows], -X[rows]])
    weights = np.repeat([1, 1e-6], len(rows))
    labels = np.concatenate([some, np.full(len(rows), -1)])
    assert make(**options).fit(table, labels).unlabeled_ is None
    clf = make(**options).fit(table, labels, sample_weight=weights)
    assert_allclose(clf.predict_proba(X[new]), expected.predict_proba(X[new]), atol=1e-3)


def test_wrong_labels_of_next_to_no_weight_do_not_judge(digits):
    X, y = digits
    rows, labeled, some, _ = few_shots(y, 6)
    X, rng = X[rows], np.random.default_rng(0)
    table = np.concatenate([X, X[labeled] + rng.normal(0, 0.01, X[labeled].shape)])
    labels = np.concatenate([some, rng.permutation(some[labeled])])
    weights = np.repeat([1, 1e-6], [len(X), labeled.sum()])
    options = {"head": "linear", "class_names": None}
    expected = make(**options).fit(X, some).unlabeled_
    found = make(**options).fit(table, labels, sample_weight=weights).unlabeled_
    assert found.spread == expected.spread
    assert found.temperature == pytest.approx(expected.temperature, rel=0.3)
    assert make(**options).fit(table, labels).unlabeled_ is None


def test_groups_and_class_weight(digits):
    X, y = digits
    rows, _, some, _ = few_shots(y, 4)
    clf = make(head="linear-all", class_weight="balanced")
    clf.fit(X[rows], some, groups=np.arange(len(rows)) // 2)
    assert len(clf.classes_) == 10


@pytest.mark.filterwarnings("ignore:The mean of the weights")
@pytest.mark.parametrize("unlabeled", ["ignore", "use"])
def test_weights_are_shares_of_all_rows_with_and_without_a_label(unlabeled, digits):
    """Not of the labelled ones alone, whose weights may sum to one by chance."""
    X, y = digits
    rows, labeled, some, new = few_shots(y, 2, n_unlabeled=50)  # 20 labelled rows

    def proba(weights):
        clf = make(head="linear-all", unlabeled=unlabeled)
        return clf.fit(X[rows], some, sample_weight=weights).predict_proba(X[new])

    by_chance = proba(np.where(labeled, 1 / 20, 1.0))
    assert_allclose(by_chance, proba(np.where(labeled, 1.001 / 20, 1.0)), atol=0.01)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, len(rows))
    assert_allclose(proba(weights / weights.sum()), proba(weights / weights.mean()), atol=1e-5)


def test_cv(digits):
    X, y = digits
    rows, labeled, some, new = few_shots(y, 4, n_unlabeled=50)
    options = {"head": "linear-probe", "unlabeled": "ignore"}
    splitter = StratifiedKFold(2)
    places = np.flatnonzero(labeled)
    splits = [
        (np.r_[places[a], np.flatnonzero(~labeled)], places[b])
        for a, b in splitter.split(places, some[labeled])
    ]
    expected = make(cv=splitter, **options).fit(X[rows][labeled], some[labeled])
    for cv in (splitter, splits):
        clf = make(cv=cv, **options).fit(X[rows], some)
        assert_allclose(clf.temperatures_, expected.temperatures_)


def test_search_and_pipeline(emoji):
    X, y, _ = emoji
    some = y.copy()
    some[::2] = None
    labeled, others = np.flatnonzero(some != None), np.flatnonzero(some == None)  # noqa: E711
    folds = StratifiedKFold(2).split(labeled, some[labeled])
    cv = [(np.r_[labeled[a], others], labeled[b]) for a, b in folds]
    clf = make(head="linear-all", class_names=None).set_params(blocks=None)
    steps = FunctionTransformer(), clf
    grid = {"adaptivebackboneensemble__unlabeled": ["ignore", "use"]}
    search = GridSearchCV(make_pipeline(*steps), grid, cv=cv, error_score="raise").fit(X, some)
    assert search.best_score_ > 0.3
    assert search.predict(X.iloc[:3]).shape == (3,)


def test_pipeline_of_images(emoji):
    _, y, files = emoji
    some = y[::4].copy()
    some[::2] = None
    clf = make_backbone_pipeline("zoo/ViT-16", head="linear", unlabeled="use", random_state=0)
    weights = np.ones(len(some))
    clf.fit(files[::4], some, sample_weight=weights, groups=np.arange(len(some)))
    assert clf.unlabeled_ is None or clf.unlabeled_.n_rows == np.sum(some == None)  # noqa: E711
    with pytest.raises(ValueError, match="or see the parameter 'unlabeled'"):
        clone(clf).set_params(adaptivebackboneensemble__unlabeled="error").fit(files[::4], some)


def test_memory_clones_and_pickles(digits, tmp_path):
    X, y = digits
    rows, _, some, new = few_shots(y, 2)
    clf = make(memory=str(tmp_path))
    first = clf.fit(X[rows], some).decision_function(X[new])
    again = pickle.loads(pickle.dumps(clone(clf).fit(X[rows], some)))
    assert_allclose(again.decision_function(X[new]), first)
    assert clone(clf).get_params()["unlabeled"] == "use"


def test_other_classes_forget_the_rows(digits):
    X, y = digits
    rows, _, some, new = few_shots(y, 1)
    clf = make(head="zero-shot").fit(X[rows], some)
    assert clf.unlabeled_ is not None
    assert clf.set_classes([0, 1], class_names=NAMES).predict(X[new]).max() <= 1
    assert clf.unlabeled_ is None


# The algebra


@pytest.mark.parametrize("n", [40, 300])
def test_a_mixture_of_known_classes_is_a_linear_discriminant(digits, n):
    X, y = digits[0][:n].astype(float), digits[1][:n]
    weights = np.random.default_rng(0).uniform(0.5, 2, n)
    weights *= n / 10 / np.bincount(y, weights)[y]  # of classes of one size, so without offsets
    head = LinearDiscriminantHead(shrinkage=1.0).fit(X, y, sample_weight=weights)
    rows = WhitenedRows(X, weights)
    coef, intercept = rows.in_columns(*rows.discriminant(np.eye(10)[y]))
    logits, expected = X @ coef + intercept, head._logits_of(X)
    # Up to what all classes have in common.
    centred = [one - one.mean(axis=1, keepdims=True) for one in (logits, expected)]
    assert_allclose(*centred, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n_shots", [1, 4])  # judged by its prompts, and by held-out rows
def test_the_spread_is_that_of_what_is_added(digits, n_shots):
    X, y = digits
    rows, labeled, some, _ = few_shots(y, n_shots)
    added = make().fit(X[rows], some).unlabeled_
    logits = added.correct(0, X[rows][~labeled]) * added.temperature
    assert_allclose(logits.std(axis=1).mean(), added.spread, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:An ill-conditioned matrix")  # of the head
def test_columns_that_are_constant():
    y = [0, 1, 0, 1, -1, -1]
    clf = AdaptiveBackboneEnsemble(head="linear", unlabeled="use").fit(np.ones((6, 3)), y)
    assert np.isfinite(clf.predict_proba(np.ones((2, 3)))).all()


@pytest.mark.parametrize(("n_first", "n_others", "n_columns"), [(6, 6, 3), (4, 12, 20)])
def test_the_distance_of_rows_of_one_distribution_is_1_on_average(n_first, n_others, n_columns):
    rng, n = np.random.default_rng(0), n_first + n_others
    tables = rng.normal(size=(1000, n, n_columns))
    found = np.mean([WhitenedRows(X, np.ones(n)).distance(n_first) for X in tables])
    assert found == pytest.approx(1, abs=0.1)
    X = tables[0] + 5 * (np.arange(n) < n_first)[:, None]
    assert WhitenedRows(X, np.ones(n)).distance(n_first) > 2
