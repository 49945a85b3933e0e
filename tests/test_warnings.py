"""Warnings name the user's line; in threads none is lost, none shown that was to be kept quiet."""

import pickle
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.parallel import Parallel, delayed

from skclipens import AdaptiveBackboneEnsemble, CLAPHead, LinearProbeHead, SuspectedMistakeWarning
from skclipens._utils._progress import results_of
from skclipens._utils._warnings import silent, warn, without_warnings
from skclipens.model_selection import FewShotSplit


@pytest.fixture
def shown():
    """Warnings that are shown, in whatever thread."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def texts(shown):
    return [str(one.message) for one in shown]


def in_threads(task, n=4):
    """Run a task in threads that overlap."""
    start = threading.Barrier(n)
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda i: start.wait() is None or task(i), range(n)))


@pytest.mark.parametrize("n_steps", [0, 1, 2])
def test_a_warning_names_the_line_of_the_user_however_deep_it_is_called(shown, n_steps):
    X, y = load_wine(return_X_y=True)
    clf = AdaptiveBackboneEnsemble(head="linear")
    if n_steps:
        clf = make_pipeline(*["passthrough"] * n_steps, clf)
    clf.fit(np.hstack([X, 1e6 * X[:, :1]]), y)
    (doubt,) = [one for one in shown if "of the variance" in str(one.message)]
    assert doubt.filename == __file__


def test_only_what_is_named_and_only_inside(shown):
    with silent("one"):
        warnings.warn("one", stacklevel=1)
        warnings.warn("two, not one", stacklevel=1)
        with silent("(two|three)"):
            for message in ("one more", "two", "three", "four"):
                warnings.warn(message, stacklevel=1)
        warnings.warn("two", stacklevel=1)
    warnings.warn("one", stacklevel=1)
    assert texts(shown) == ["two, not one", "four", "two", "one"]


def test_threads_in_a_copy_of_the_context_hide_the_same(shown):
    with silent("one"), ThreadPoolExecutor(1) as pool:
        for text in ("one", "two"):
            pool.submit(copy_context().run, warnings.warn, text, stacklevel=1).result()
        pool.submit(warnings.warn, "one", stacklevel=1).result()
    assert texts(shown) == ["two", "one"]


def test_doubts_are_hidden_whatever_their_words_also_in_workers(shown):
    with without_warnings("a", "b"), without_warnings():
        for doubt in ("a", "b", "ab", None):
            warn(f"{doubt} in other words", key=doubt)
        handed_on = pickle.loads(pickle.dumps(warnings.filters))
    assert texts(shown) == ["ab in other words", "None in other words"]
    warn("a", key="a")
    with warnings.catch_warnings(record=True) as of_worker:
        warnings.filters[:] = handed_on
        warn("a", key="a")
        warn("c", key="c")
    assert texts(of_worker) == ["c"]
    assert texts(shown)[2:] == ["a"]


def test_contexts_that_overlap_do_not_set_back_each_others_filters(shown):
    with silent("one"):  # puts its filter first
        before = list(warnings.filters)
    first, second = silent("one"), silent("")
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as another:
        for pool, step in ((one, first.__enter__), (another, second.__enter__)):
            pool.submit(step).result()
        for pool in (one, another):
            pool.submit(warnings.warn, "one", stacklevel=1).result()
        assert not shown
        warnings.warn("one", stacklevel=1)
        one.submit(first.__exit__, None, None, None).result()
        one.submit(warnings.warn, "one", stacklevel=1).result()
        another.submit(warnings.warn, "one", stacklevel=1).result()
        another.submit(second.__exit__, None, None, None).result()
    assert texts(shown) == ["one"] * 2
    assert warnings.filters == before


def test_filters_that_are_replaced_meanwhile(shown):
    warnings.resetwarnings()
    warnings.simplefilter("error")
    with silent("one"):
        warnings.warn("one", stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn("one", stacklevel=1)


def test_filters_do_not_become_more(shown):
    warnings.simplefilter("ignore")
    with silent("one"):
        n_filters = len(warnings.filters)
    for action in ["ignore", "always"] * 20:
        warnings.simplefilter(action)
        with silent("one"):
            warnings.warn("one", stacklevel=1)
    assert len(warnings.filters) <= n_filters + 1
    assert not shown


def test_results_that_nobody_asks_for_are_no_error():
    with warnings.catch_warnings(), joblib.parallel_config("threading"):
        warnings.simplefilter("error")
        results = results_of([joblib.delayed(abs)(one) for one in range(4)], n_jobs=2)
        assert next(results) == 0
        time.sleep(0.2)  # in which the others end
        results.close()


def test_workers_keep_quiet_about_the_same():
    with silent("one"):
        filters = pickle.loads(pickle.dumps(warnings.filters))
    assert filters[0][1].match("one more")
    assert not filters[0][1].match("two")
    assert not pickle.loads(pickle.dumps(warnings.filters))[0][1].match("one")
    X, y = load_wine(return_X_y=True)
    assert cross_val_score(LogisticRegression(max_iter=5), X, y, cv=2, n_jobs=2).shape == (2,)


def test_workers_hide_what_the_thread_that_waits_for_them_hides():
    def shown_in_worker(text):
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn(text, stacklevel=1)
        return [str(one.message) for one in caught]

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        calls = [delayed(shown_in_worker)(text) for text in ["one", "two"] * 3]
        with silent("one"):  # joblib pickles calls in a thread of its own
            assert Parallel(n_jobs=2)(calls) == [[], ["two"]] * 3
        assert Parallel(n_jobs=2)(calls) == [["one"], ["two"]] * 3


def test_fits_in_threads_lose_no_warning_and_show_none_that_is_meant(shown):
    rng = np.random.default_rng(0)
    # Of so few rows scikit-learn doubts that y is classes.
    X, y = rng.normal(0, 100, size=(26, 6)), np.arange(26) // 2

    def fit(i):
        LinearProbeHead(max_iter=3, cv=2).fit(X, y)
        AdaptiveBackboneEnsemble(head="linear-probe", blocks=None).fit(X, y)

    in_threads(fit)
    said = texts(shown)
    assert not [text for text in said if "unique classes" in text or "least populated" in text]
    # One for the final fit of each thread's own probe, none for the search.
    assert sum(issubclass(one.category, ConvergenceWarning) for one in shown) == 4
    shown.clear()
    warnings.warn("still shown", stacklevel=1)
    warnings.warn("The number of unique classes is greater", stacklevel=1)
    assert len(shown) == 2


def test_each_thread_is_told(shown):
    X = np.random.default_rng(0).normal(size=(6, 128))

    def fit(i):
        list(FewShotSplit(n_shots=5, n_splits=1).split(X, [0, 0, 0, 1, 1, 1]))
        AdaptiveBackboneEnsemble("zoo/RN20").fit(X, [0, 0, 0, 1, 1, 1])  # numbers are no names
        CLAPHead("zoo/RN20", max_iter=1, alpha=1.0).fit(X, list("aaabbb"))

    in_threads(fit)
    for beginning in ("With n_shots=5", "A label such as 0", "CLAPHead did not converge"):
        assert sum(text.startswith(beginning) for text in texts(shown)) == 4, beginning


def test_suspected_mistakes_are_a_category_of_their_own():
    """A program can stop at them, and go on at what is only said."""
    X, y = np.eye(6), np.repeat(["Cat", "cat", "dog"], 2)
    clf = AdaptiveBackboneEnsemble([("all", slice(0, 6))])
    with warnings.catch_warnings():
        warnings.simplefilter("error", SuspectedMistakeWarning)
        with pytest.raises(SuspectedMistakeWarning, match="'Cat'"):
            clf.fit(X, y)
        with pytest.warns(UserWarning, match="one sample is kept for testing"):
            next(FewShotSplit(2).split(X, y))
