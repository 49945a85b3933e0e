"""Tests of FewShotSplit."""

import warnings

import numpy as np
import pandas as pd
import pytest
from _said import no_warning, said
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from skclipens.model_selection import FewShotSplit

seeds = st.integers(0, 2**32 - 1)


@st.composite
def labels(draw, min_class_size=2):
    """Shuffled labels of classes with at least `min_class_size` members."""
    sizes = draw(st.lists(st.integers(min_class_size, 9), min_size=1, max_size=6))
    names = draw(
        st.sampled_from(
            [np.array(list("fbdace")), 2 * np.arange(6) - 4, np.array(list("xyzuvw"), "O")]
        )
    )
    y = np.repeat(names[: len(sizes)], sizes)
    return y[np.random.RandomState(draw(seeds)).permutation(len(y))]


def split(y, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return list(FewShotSplit(**params).split(np.zeros(len(y)), y))


@given(labels(), st.integers(1, 10), st.integers(1, 4), seeds)
def test_trains_on_n_shots_of_each_class_and_tests_on_the_rest(y, n_shots, n_splits, seed):
    splits = split(y, n_shots=n_shots, n_splits=n_splits, random_state=seed)
    assert len(splits) == n_splits
    _, sizes = np.unique(y, return_counts=True)
    for train, test in splits:
        assert sorted([*train, *test]) == list(range(len(y)))
        _, shots = np.unique(y[train], return_counts=True)
        np.testing.assert_array_equal(shots, np.minimum(n_shots, sizes - 1))


@given(labels(), st.integers(1, 9), seeds)
def test_an_int_seed_reproduces_the_draws(y, n_shots, seed):
    splitter = FewShotSplit(n_shots, 3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        first, second = (list(splitter.split(y, y)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@given(labels(), st.integers(1, 9), st.integers(1, 9), seeds)
def test_draws_are_nested_in_shots(y, n_shots, more, seed):
    small = split(y, n_shots=n_shots, n_splits=3, random_state=seed)
    large = split(y, n_shots=n_shots + more, n_splits=5, random_state=seed)
    for (few, _), (many, _) in zip(small, large, strict=False):
        assert set(few) <= set(many)


@given(labels(), seeds)
def test_names_of_the_classes_do_not_matter(y, seed):
    _, codes = np.unique(y, return_inverse=True)
    for one, other in zip(
        split(y, n_splits=2, random_state=seed),
        split(codes, n_splits=2, random_state=seed),
        strict=True,
    ):
        np.testing.assert_array_equal(one[0], other[0])


def test_every_member_of_a_class_is_drawn_as_often():
    y = np.repeat([0, 1], [4, 8])
    drawn = np.bincount(
        np.concatenate([train for train, _ in split(y, n_splits=4000, random_state=0)])
    )
    np.testing.assert_allclose(drawn / 4000, np.repeat([1 / 4, 1 / 8], [4, 8]), atol=0.02)


def test_repeats_and_unseeded_calls_differ():
    y = np.repeat([0, 1], 500)
    assert len({tuple(train) for train, _ in split(y, n_shots=5, random_state=0)}) == 10
    first, second = (split(y, n_shots=5, n_splits=1)[0][0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_a_random_state_instance_moves_on():
    y = np.repeat([0, 1], 500)
    splitter = FewShotSplit(5, 1, random_state=np.random.RandomState(0))
    first, second = (next(splitter.split(y, y))[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_scores_a_classifier_in_cross_validation():
    X, y = load_digits(return_X_y=True)
    few, many = (
        cross_val_score(
            KNeighborsClassifier(1), X, y, cv=FewShotSplit(n_shots, 5, random_state=0)
        ).mean()
        for n_shots in (1, 16)
    )
    assert 0.3 < few < many - 0.2


def test_is_the_cv_of_a_grid_search():
    X, y = load_iris(return_X_y=True, as_frame=True)
    splitter = FewShotSplit(4, 3, random_state=0)
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=splitter).fit(X, y)
    assert search.n_splits_ == 3
    assert check_cv(search.cv) is search.cv


def test_metadata_routing_passes_groups(enable_metadata_routing):
    X, y = load_iris(return_X_y=True)
    seen = []

    class Splits(FewShotSplit):
        def split(self, X, y, groups=None):
            seen.append(groups)
            return super().split(X, y, groups)

    splitter, groups = Splits(2, 2, random_state=0), np.arange(150) // 5
    for params in ({}, {"groups": groups}):
        assert len(cross_val_score(DummyClassifier(), X, y, cv=splitter, params=params)) == 2
    assert seen[0] is None and seen[1] is groups


@pytest.fixture
def enable_metadata_routing():
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(list("aabbb"), index=range(7, 12)),
        pd.Series(list("aabbb"), dtype="category"),
        np.array(list("aabbb"), dtype=object),
        [True, True, False, False, False],
        [1.0, 1.0, 2.0, 2.0, 2.0],
        ["a", "a", "b", "b", "b"],
    ],
)
def test_labels_of_any_type(y):
    ((train, test),) = split(y, n_splits=1, random_state=0)
    assert train[0] in (0, 1) and train[1] in (2, 3, 4)
    assert len(test) == 3


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs numpy 2")
def test_labels_may_be_variable_width_strings_of_numpy():
    test_labels_of_any_type(np.array(list("aabbb"), np.dtypes.StringDType()))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[1, 0], [0, 1], [1, 1], [0, 0]], "row 0, where one label for each row is wanted"),
        ([0.5, 1.5, 2.5, 0.5], "continuous"),
        ([[1, 2], [3, 4], [1, 2], [3, 4]], "row 0, where one label for each row is wanted"),
        (["cat", "dog", "dog", "dog"], r"single member: \['cat'\]"),
        ([1, 1, 2, 2, 2], "inconsistent numbers of samples"),
        (None, "y is None, and y should be a 1d array"),
        (["a", "", "a", ""], "no label for 2 of 4 rows; the first is row 1, with ''"),
        (["a", None, "a", "b"], "no label for 1 of 4 rows"),
    ],
)
def test_rejects_unfit_labels(y, message):
    with pytest.raises(ValueError, match=message):
        FewShotSplit().split(np.zeros(4), y)


def test_rejects_no_samples():
    with pytest.raises(ValueError, match="empty"):
        FewShotSplit().split([], [])


def test_warns_of_small_classes_by_name():
    y = np.repeat(["cat", "dog", "fox"], [3, 4, 5])
    with pytest.warns(UserWarning, match=r"n_shots=4, one sample.*\['cat', 'dog'\]") as record:
        ((train, test),) = FewShotSplit(4, 1).split(y, y)
    assert record[0].filename == __file__
    assert [np.sum(y[train] == name) for name in ("cat", "dog", "fox")] == [2, 3, 4]
    assert set(y[test]) == set(y)


def test_does_not_warn_of_sufficient_classes():
    with no_warning():
        FewShotSplit(2).split(np.zeros(6), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_no_group_is_on_both_sides(kind):
    rng = np.random.default_rng(0)
    y, groups = np.repeat([0, 1, 2], 40), np.array([f"object {i // 8}" for i in range(120)])
    groups[50] = groups[0]  # of two classes
    order = rng.permutation(120)
    y, groups = y[order], groups[order]
    few, more = (
        list(FewShotSplit(n, 20, random_state=0).split(y, y, kind(groups))) for n in (3, 6)
    )
    for (train, test), (larger, _) in zip(few, more, strict=True):
        assert not set(groups[train]) & set(groups[test])
        np.testing.assert_array_equal(np.bincount(y[train]), [3, 3, 3])
        for c in range(3):  # of five objects, and of six, up to half
            assert len(set(groups[train][y[train] == c])) == (3 if c == 1 else 2)
        assert set(test) == set(np.flatnonzero(~np.isin(groups, groups[train])))
        assert set(train) <= set(larger)
        np.testing.assert_array_equal(np.bincount(y[larger]), [6, 6, 6])


def test_one_of_three_groups_trains_if_it_has_enough_rows():
    y, groups = np.repeat([0, 1], 12), np.arange(24) // 4
    for train, _ in FewShotSplit(4, 20, random_state=0).split(y, y, groups):
        assert len(set(groups[train])) == 2  # one of each class


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_half_of_the_groups_train_first_if_classes_share_them(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(160)  # forty people, each with two rows of each class
    y, groups = (np.arange(160) % 2)[order], (np.arange(160) // 4)[order]
    for train, test in FewShotSplit(21, 3, random_state=seed).split(y, y, groups):
        assert not set(groups[train]) & set(groups[test])
        for c in range(2):  # half of the people, before any other
            assert np.sum(y[train] == c) == 21
            assert len(set(groups[train][y[train] == c])) == 20


def test_groups_of_one_row_change_nothing():
    y = np.repeat([0, 1, 2], [5, 9, 20])
    groups = np.random.default_rng(0).permutation(len(y))
    for n_shots in (1, 4, 7):
        plain = split(y, n_shots=n_shots, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            grouped = list(FewShotSplit(n_shots, random_state=0).split(y, y, groups))
        for one, other in zip(plain, grouped, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


def test_groups_that_leave_too_few_rows():
    y = np.repeat(["cat", "dog"], 4)
    splitter = FewShotSplit(2, 2, random_state=0)
    with pytest.raises(ValueError, match="one group: 'cat'"):
        splitter.split(y, y, [0, 0, 0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match=r"leave no rows to test '(cat|dog)'.*fewer shots"):
        list(splitter.split(y, y, [0, 0, 1, 1] * 2))
    with pytest.warns(UserWarning, match=r"of one group are kept .* few members: \['cat'\]"):
        splitter.split(y, y, [0, 0, 0, 1, 2, 2, 3, 3])
    with pytest.raises(ValueError, match="groups has shape"):
        splitter.split(y, y, [0, 1])


@pytest.mark.parametrize("name", ["n_shots", "n_splits"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (1.0, TypeError), ("1", TypeError)])
def test_rejects_unfit_parameters(name, value, error):
    with pytest.raises(error, match=name):
        FewShotSplit(**{name: value})


def test_says_what_it_is():
    splitter = FewShotSplit(4, random_state=0)
    assert repr(splitter) == "FewShotSplit(n_shots=4, n_splits=10, random_state=0)"
    assert splitter.get_n_splits() == 10


def test_rows_in_another_order():
    X = pd.DataFrame({"a": range(8)}, index=list("abcdefgh"))
    y, groups = pd.Series(list("xxxxyyyy"), X.index), pd.Series(range(8), X.index)
    split = FewShotSplit(random_state=0).split
    assert not said(lambda: next(split(X, y, groups)))
    (text,) = said(lambda: next(split(X, y, groups[::-1])))
    assert text.startswith("X and groups have the same index in another order.")
    assert said(lambda: next(split(X, y[::-1])))[0].startswith("X and y have the same index")
