"""Tests of the kernel head, on pictures of the zoo."""

from copy import copy
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from scipy.stats import multivariate_normal
from sklearn.metrics import log_loss
from sklearn.utils.estimator_checks import parametrize_with_checks

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens._utils._folds import limit_validation_rows
from skclipens.datasets import load_emoji
from skclipens.heads import KernelHead, ZeroShotHead
from skclipens.heads._kernel_regression import ExactFit, Regression
from skclipens.heads._kernel_regression import kernel as kernel_of_products
from skclipens.heads._nystrom import NystromFit
from skclipens.model_selection import FewShotSplit
from skclipens.utils.estimator_checks import check_head

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
BLOCKS = [(name, slice(128 * i, 128 * i + 128)) for i, name in enumerate(BACKBONES)]
CANDIDATES = {"betas": (0.5, 2.0, 8.0, 32.0), "alphas": (0.003, 0.03, 0.3, 3.0)}
ONE_SETTING = {"betas": (2.0,), "alphas": (0.5,)}


@pytest.fixture(scope="module")
def data():
    emoji = load_emoji(min_class_size=40)
    X = MultiBackboneEmbedder(BACKBONES, device="cpu").fit_transform(emoji.filenames)
    return X, emoji.target_names[emoji.target].astype(str)


@pytest.fixture(scope="module")
def split(data):
    X, y = data
    train, test = next(FewShotSplit(6, 1, random_state=0).split(X, y))
    return X[train], y[train], X[test], y[test]


def kernel(A, B, beta):
    cosines = sum(A[:, columns] @ B[:, columns].T for _, columns in BLOCKS) / len(BLOCKS)
    return np.exp(beta * (cosines - 1))


def log_evidence(covariance, residuals):
    """Log density of the residuals of all classes, at the best variance of the signal."""
    variance = np.mean(residuals * np.linalg.solve(covariance, residuals))
    normal = multivariate_normal(cov=variance * covariance)
    return sum(normal.logpdf(of_class) for of_class in residuals.T)


@pytest.fixture(scope="module")
def few_copies(regression):
    """A regression of 20 rows with few columns, whose weights are numbers of copies."""
    copies = np.random.default_rng(1).integers(1, 4, 20)
    rows = regression.rows[:20].astype(np.float64)
    base = np.zeros((20, 4))
    base[np.arange(20), rows[:, :4].argmax(axis=1)] = 1.0  # columns tell something
    return Regression(rows, regression.targets[:20], base, copies), copies


def prompt_logits(head, X):
    """Calibrated logits of the prompts alone."""
    return head._features(X) @ head._text_coef.T


NARROW = {
    "check_sample_weight_equivalence_on_dense_data": "Rows of few columns that are the same may be "
    "so by chance, and judge each other; rows with a weight are one row."
}


@parametrize_with_checks([KernelHead()], expected_failed_checks=lambda head: NARROW)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("head", [KernelHead(), KernelHead(n_components=20, random_state=0)])
def test_it_keeps_the_protocol_of_heads(head):
    check_head(head)


def test_cosines_above_one_by_rounding_are_one():
    products = np.array([[1 + 1e-7, 0.5]], np.float32)
    assert kernel_of_products(products, 1e9).tolist() == [[1, 0]]


def test_predictions_are_prompts_plus_kernel_regression_of_what_they_leave(split):
    X, y, X_test, _ = split
    head = KernelHead(BLOCKS, **ONE_SETTING)
    held_out, valid = head.cross_fit(X, y)
    assert valid.all()
    texts = [ZeroShotHead(name).fit(X[:, c], y) for name, c in BLOCKS]

    def base(rows):
        logits = [
            one.decision_function(rows[:, c]) / t
            for one, (_, c), t in zip(texts, BLOCKS, head.temperatures_, strict=True)
        ]
        return np.mean(logits, axis=0)

    residuals = (y[:, None] == head.classes_) - softmax(base(X), axis=1)
    ridge = kernel(X, X, 2.0) + 0.5 * np.eye(len(X))
    added = kernel(X_test, X, 2.0) @ np.linalg.solve(ridge, residuals)
    found = head.decision_function(X_test) - base(X_test)
    scale = np.sum(added**2) / np.sum(added * found)
    assert_allclose(found, added / scale, atol=1e-3)
    # Held-out logits are those of heads that are fitted without the row.
    row, rest = 3, np.delete(np.arange(len(X)), 3)
    ridge = kernel(X[rest], X[rest], 2.0) + 0.5 * np.eye(len(rest))
    smoother = kernel(X[[row]], X[rest], 2.0) @ np.linalg.inv(ridge)
    without = smoother @ residuals[rest]
    # Its class has five rows left where all others have six.
    own = y[row] == head.classes_
    without[0, own] += smoother[0, y[rest] == y[row]].sum() / 5
    assert_allclose(held_out[row], (base(X[[row]]) + without / scale)[0], atol=1e-3)


def test_blocks_are_found_by_the_names_that_an_embedder_gives(split):
    X, y, X_test, _ = split
    names = [
        f"{name}__{i}" for name, columns in BLOCKS for i in range(columns.stop - columns.start)
    ]
    frame, test = (pd.DataFrame(one, columns=names) for one in (X, X_test))
    found, named = KernelHead().fit(frame, y), KernelHead(BLOCKS).fit(X, y)
    assert [head.backbone for head, _ in found.text_heads_] == BACKBONES
    assert_allclose(found.predict_proba(test), named.predict_proba(X_test), atol=1e-5)
    others = frame.rename(columns="column {}".format)
    assert not KernelHead().fit(others, y).text_heads_


def test_held_out_logits_know_nothing_of_noise():
    """Left out, a row must not be told by its class, which then has fewer rows than all others."""
    rng, right = np.random.default_rng(0), []
    y = np.arange(80) % 20
    for _ in range(20):
        logits, _ = KernelHead(**ONE_SETTING).cross_fit(rng.normal(size=(80, 64)), y)
        right.append(logits.argmax(axis=1) == y)
    assert 0.03 < np.mean(right) < 0.08  # one in twenty; 0.02 without the correction


def test_folds_bind_what_is_held_out(split):
    X, y, _, _ = split
    halves = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    logits, valid = KernelHead(BLOCKS, **ONE_SETTING).cross_fit(X, y, folds=[halves, halves[::-1]])
    changed = X.copy()
    changed[halves[1][5]] = X[halves[1][6]]  # in the half that teaches the first
    again, _ = KernelHead(BLOCKS, **ONE_SETTING).cross_fit(changed, y, folds=[halves, halves[::-1]])
    assert valid.all()
    same = np.isclose(logits, again, atol=1e-6).all(axis=1)
    assert not same[halves[0]].any()


def test_evidence_is_the_marginal_likelihood(split):
    X, y, _, _ = split
    head = KernelHead(BLOCKS, **CANDIDATES).fit(X, y)
    residuals = (y[:, None] == head.classes_) - softmax(prompt_logits(head, X), axis=1)

    def evidence(one):
        return log_evidence(kernel(X, X, one[0]) + one[1] * np.eye(len(X)), residuals)

    best = max(product(head.betas, head.alphas), key=evidence)
    assert best[0] not in (head.betas[0], head.betas[-1])  # so that there is a best one
    assert (head.beta_, head.alpha_) == best


def test_of_two_candidates_the_more_likely_one_is_taken(few_copies):
    regression, copies = few_copies
    rows, some = np.repeat(np.arange(len(copies)), copies), np.arange(len(copies))
    products = regression.rows @ regression.rows.T

    def evidence(one):
        beta, alpha = one
        covariance = np.exp(beta * (products - 1))[np.ix_(rows, rows)] + alpha * np.eye(len(rows))
        return log_evidence(covariance, regression.residuals[rows])

    betas, alphas = CANDIDATES.values()
    for two in product(combinations(betas, 2), combinations(alphas, 1)):
        assert regression.best(some, *two) == max(product(*two), key=evidence)
    for two in product(combinations(betas, 1), combinations(alphas, 2)):
        assert regression.best(some, *two) == max(product(*two), key=evidence)


def test_a_weight_stands_for_copies(split):
    X, y, X_test, _ = split
    rng = np.random.default_rng(0)
    copies = rng.integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), copies)
    weighted = KernelHead(BLOCKS, **CANDIDATES).fit(X, y, sample_weight=copies)
    repeated = KernelHead(BLOCKS, **CANDIDATES).fit(X[rows], y[rows], groups=rows)
    assert (weighted.beta_, weighted.alpha_) == (repeated.beta_, repeated.alpha_)
    assert_allclose(
        prompt_logits(weighted, X_test), prompt_logits(repeated, X_test), rtol=1e-3, atol=1e-3
    )
    one, other = (
        head.decision_function(X_test) - prompt_logits(head, X_test)
        for head in (weighted, repeated)
    )
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999


def test_one_row_per_class_leaves_prompts_and_a_fixed_correction(data):
    X, y = data
    train, test = next(FewShotSplit(1, 1, random_state=0).split(X, y))
    head = KernelHead(BLOCKS)
    logits, valid = head.cross_fit(X[train], y[train])
    assert valid.all()
    assert_allclose(logits, prompt_logits(head, X[train]), rtol=1e-5)
    assert (head.beta_, head.alpha_) == (4.0, 0.3)
    assert np.abs(head.dual_coef_).max() > 0
    without_texts, valid = KernelHead().cross_fit(X[train], y[train])
    assert not valid.any()
    assert_array_equal(without_texts, 0)


def test_far_from_all_rows_the_prompts_decide(split):
    X, y, X_test, _ = split
    head = KernelHead(BLOCKS, betas=(8.0,)).fit(X, y)
    far = -X.mean(axis=0, keepdims=True)
    corrections = [
        np.abs(head.decision_function(Z) - prompt_logits(head, Z)).max() for Z in (far, X_test)
    ]
    assert corrections[0] < 0.01 * corrections[1]


def test_many_rows_are_drawn_by_class_and_the_others_judge(data):
    X, y = data
    head = KernelHead(BLOCKS, n_components=60, random_state=0)
    _, valid = head.cross_fit(X, y)
    assert head.X_fit_.shape == (60, 256)
    assert valid.all()
    again = KernelHead(BLOCKS, n_components=60, random_state=0).fit(X, y)
    assert_array_equal(head.X_fit_, again.X_fit_)


def test_an_ensemble_hands_it_all_embeddings_with_their_texts(split):
    X, y, X_test, y_test = split
    blocks = [*BACKBONES, "price"]
    table = np.column_stack([X, np.linspace(0, 1, len(X))]).astype(np.float32)
    ends = [128, 256, 257]
    columns = [
        (name, slice(end - (128 if end < 257 else 1), end)) for name, end in zip(blocks, ends)
    ]
    clf = AdaptiveBackboneEnsemble(columns, head="kernel-all", random_state=0).fit(table, y)
    ((name, head, block),) = clf.experts_
    assert len(block.columns) == 256
    assert [backbone for backbone, _ in head.blocks] == BACKBONES
    numbers = np.unique(y, return_inverse=True)[1]
    nameless = AdaptiveBackboneEnsemble(BACKBONES, head="kernel-all", random_state=0).fit(
        X, numbers
    )
    assert not nameless.experts_[0][1].text_heads_


@pytest.mark.parametrize("name", ["betas", "alphas"])
@pytest.mark.parametrize("values", [[], [0.0], ["a"], [1.0, -2.0], [np.inf]])
def test_candidates_are_checked(name, values, split):
    with pytest.raises(ValueError, match=f"{name} are positive, finite numbers"):
        KernelHead(**{name: values}).fit(*split[:2])


# Columns of blocks


@pytest.fixture(scope="module")
def pair():
    """Embeddings of two backbones with names of columns, and labels."""
    emoji = load_emoji(min_class_size=60)
    embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"]).set_output(transform="pandas")
    return embedder.transform(emoji.filenames[::4]), emoji.target_names[emoji.target[::4]]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "blocks is empty"),
        (["zoo/RN20"], "'zoo/RN20' is no such pair"),
        ([128, 128], "128 is no such pair"),
        ([None], "None is no such pair"),
        ([("zoo/ViT-8", slice(128))], "Block 'zoo/ViT-8' has the column 'zoo/RN20__0'"),
        ([("zoo/RN20", [0] * 128)], "Block 'zoo/RN20' names column 0 128 times"),
        ([(None, slice(200, 300))], "Block 0 of blocks ends at 300, but X has 256 columns"),
        ([(None, [])], "Block 0 of blocks has no columns"),
        ([(None, np.arange(256) // 128)], "a mask has the type bool"),
        ([(None, ["price"])], "X has no column 'price'"),
    ],
)
def test_blocks_that_do_not_fit_the_table_are_refused(blocks, message, pair):
    with pytest.raises(ValueError, match=message):
        KernelHead(blocks).fit(*pair)


def test_a_column_is_compared_with_texts_of_one_backbone(pair):
    X, y = pair
    with pytest.raises(ValueError, match="Column 64 is in the blocks 'zoo/RN20' and 'zoo/ViT-8'"):
        KernelHead([("zoo/RN20", slice(128)), ("zoo/ViT-8", slice(64, 192))]).fit(X.to_numpy(), y)


def test_rare_classes_have_a_row_where_rows_are_sampled():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(900, 16)), rng.normal(size=(3, 16)) + 6])
    y, new = np.repeat(["common", "rare"], [900, 3]), rng.normal(size=(20, 16)) + 6
    head = KernelHead(n_components=300, random_state=0).fit(X, y)
    assert len(head.X_fit_) == 300 and (head.predict(new) == "rare").all()
    head = KernelHead(n_components=60, random_state=0).fit(X[:100], np.arange(100))
    assert_array_equal(head.predict(X[:100]), np.arange(100))


def test_columns_may_be_named_or_masked(pair):
    X, y = pair
    expected = KernelHead([("zoo/RN20", slice(128))]).fit(X, y).predict_proba(X)
    for columns in list(X.columns[:128]), np.arange(256) < 128, np.arange(128):
        found = KernelHead([("zoo/RN20", columns)]).fit(X, y).predict_proba(X)
        assert_allclose(found, expected, rtol=1e-3)


# Many rows: the kernel is approximated


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    base = rng.normal(size=(60, 4)).astype(np.float32)
    return Regression(rows, rng.integers(0, 4, 60), base, rng.uniform(0.5, 2, 60))


@pytest.mark.parametrize("alpha", [0.3, 0.01, 1e-4])
@pytest.mark.parametrize("n_in_group", [1, 3])
def test_with_all_rows_as_landmarks_it_is_exact(regression, alpha, n_in_group):
    rows = np.arange(60)
    exact = ExactFit(regression, 2.0, alpha)
    other = NystromFit(regression, rows, 2.0, alpha)
    of_all = regression.kernel_of(rows, rows, 2.0, alpha)
    assert_allclose(of_all @ other.coef, of_all @ exact.coef, atol=1e-3)
    out = rows[10:30]
    assert_allclose(of_all @ other.without(out), of_all @ exact.without(out), atol=3e-3)
    groups = rows // n_in_group
    for asked in rows, rows[::7]:
        found, expected = (one.leave_out(groups, asked) for one in (other, exact))
        assert_allclose(found, expected, atol=3e-3)
        assert_allclose(found, other.leave_out(groups, rows)[asked], atol=3e-5)


@pytest.mark.parametrize("n_in_group", [1, 3])
def test_what_is_left_out_teaches_nothing(regression, n_in_group):
    landmarks, rows = np.arange(0, 60, 4), np.arange(60)
    fit, groups = NystromFit(regression, landmarks, 2.0, 0.3), rows // n_in_group
    held_out = fit.leave_out(groups, rows)
    indicators = regression.targets[:, None] == np.arange(4)
    for group in np.unique(groups):
        out = np.flatnonzero(groups == group)
        rest = copy(regression)  # in which the rows left out have hardly any weight
        rest.scale = np.where(groups == group, 1e-4, regression.scale)
        of_class, left = (indicators.T @ one.scale**2 for one in (regression, rest))
        # The others of the class count for more.
        rest.residuals = regression.residuals + indicators * (of_class / left - 1)
        of_out = regression.kernel_of(out, landmarks, 2.0, 0.3)
        coef = NystromFit(rest, landmarks, 2.0, 0.3).coef
        assert_allclose(held_out[out], of_out @ coef, atol=1e-3)
        rest.residuals = regression.residuals
        coef = NystromFit(rest, landmarks, 2.0, 0.3).coef
        assert_allclose(of_out @ fit.without(out), of_out @ coef, atol=1e-3)


@pytest.mark.parametrize("alpha", [0.3, 1e-3])
@pytest.mark.parametrize("weight", [25, 1e4])
def test_a_heavy_row_is_held_out_as_exactly_as_others(regression, weight, alpha):
    heavy = copy(regression)
    heavy.scale = np.where(np.arange(60) % 5, 1.0, np.sqrt(weight))
    exact = copy(heavy)
    exact.rows, exact.residuals = (one.astype(float) for one in (heavy.rows, heavy.residuals))
    groups, landmarks = np.arange(60) // 2, np.arange(0, 60, 4)
    found, expected = (
        NystromFit(one, landmarks, 2.0, alpha).leave_out(groups, np.arange(60))
        for one in (heavy, exact)
    )
    assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("with_texts", [False, True])
def test_rows_of_a_group_do_not_judge_each_other_in_a_sample(data, with_texts):
    rng = np.random.default_rng(0)
    pictures = np.repeat(rng.permutation(len(data[0]))[:150], 2)
    X = data[0][pictures] + rng.normal(scale=0.01, size=(300, 256)).astype(np.float32)
    y = np.repeat(rng.choice(["clock", "mammal", "plant"], 150), 2)  # X says nothing of these
    groups = np.repeat(np.arange(150), 2)
    head = KernelHead(BLOCKS if with_texts else None, n_components=200, random_state=0)
    logits, valid = head.cross_fit(X, y, groups=groups)
    assert valid.all()
    right = head.classes_[logits.argmax(axis=1)] == y
    assert abs(right.mean() - 1 / 3) < 0.1


def test_groups_that_cannot_be_held_out_choose_nothing(data):
    X, y = data
    _, one_of_each = np.unique(y, return_index=True)

    def chosen(X, y, groups=None):
        head = KernelHead(BLOCKS, betas=[0.5, 1.0, 2.0], alphas=[0.1, 1.0])
        head.fit(X, y, groups=groups)
        return head.beta_, head.alpha_

    assert chosen(X, y, groups=y) == chosen(X[one_of_each], y[one_of_each]) != chosen(X, y)


@pytest.mark.parametrize("with_texts", [False, True])
def test_rows_whose_group_is_partly_in_the_sample_do_not_judge(data, with_texts):
    X, y = data
    groups = np.arange(len(y)) // 2
    head = KernelHead(BLOCKS if with_texts else None, n_components=20, random_state=0)
    _, valid = head.cross_fit(X, y, groups=groups)
    assert 320 <= valid.sum() < len(y)
    assert head.cross_fit(X, y)[1].all()


def test_rows_that_judge_need_not_be_among_those_that_teach():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(900, 8)), np.arange(900) % 3
    for seed in range(9):  # of 64 rows that teach, some or none are among the ten that judge
        with limit_validation_rows(10):
            logits, valid = KernelHead(n_components=4, random_state=seed).cross_fit(X, y)
        assert valid.sum() == 10 and np.isfinite(logits).all()


@pytest.mark.parametrize("n_components", [30, 45, 60])
def test_all_rows_teach_and_judge_with_few_landmarks(n_components):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(30), 6)
    X = rng.normal(size=(30, 20))[y] + 0.5 * rng.normal(size=(len(y), 20))
    head = KernelHead(n_components=n_components, random_state=0)
    logits, valid = head.cross_fit(X, y)
    assert head.X_fit_.shape == (n_components, 20) and valid.all()
    assert np.mean(logits.argmax(axis=1) == y) > 0.95


def test_many_classes_are_fitted_on_fewer_rows():
    """Each has a row to compare with, and time grows with the square of these."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40), 20)
    X = rng.normal(size=(40, 20))[y] + 0.5 * rng.normal(size=(len(y), 20))
    for n_components, n_fitted in ((20, 160), (40, 640)):
        head = KernelHead(n_components=n_components, random_state=0).fit(X, y)
        assert head.X_fit_.shape == (40, 20) and len(head._rows_to_fit(y, None)) == n_fitted
        assert np.mean(head.predict(X) == y) > 0.95


def test_an_approximation_on_all_rows_is_better_than_a_sample(data):
    X, y = data
    few = next(FewShotSplit(10, 1, random_state=0).split(X, y))[0]
    rest = np.setdiff1d(np.arange(len(y)), few)
    train, test = np.sort(np.append(few, rest[::2])), rest[1::2]
    options = {"betas": (2.0,), "alphas": (0.3,), "random_state": 0}
    of_sample = KernelHead(BLOCKS, **options).fit(X[few], y[few])
    of_all = KernelHead(BLOCKS, n_components=len(few), **options).fit(X[train], y[train])
    exact = KernelHead(BLOCKS, n_components=len(train), **options).fit(X[train], y[train])
    of_sample, of_all, exact = (
        log_loss(y[test], head.predict_proba(X[test])) for head in (of_sample, of_all, exact)
    )
    assert of_all < of_sample and of_all - exact < 0.7 * (of_sample - exact)
