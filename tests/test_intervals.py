"""Intervals of a difference in accuracy: a bootstrap over test images and over draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skclipens.model_selection import _intervals
from skclipens.model_selection._intervals import (
    crossed_bootstrap,
    ends,
    few_draws_interval,
    paired_interval,
)

BOTH = pytest.mark.parametrize("interval", [paired_interval, few_draws_interval])


@st.composite
def measured(draw):
    """Two systems on up to five draws, each of which tests some of the images."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 5)), draw(st.integers(2, 40))
    tested = rng.random(shape) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    tested[:, 0] = True
    return rng.random(shape) < 0.6, rng.random(shape) < 0.5, tested


@BOTH
@given(data=measured())
@settings(max_examples=40)
def test_interval_holds_the_difference_and_turns_with_the_sides(interval, data):
    ours, theirs, tested = data
    difference, low, high = interval(ours, theirs, tested)
    accuracies = [
        np.mean([right[d, tested[d]].mean() for d in range(len(tested))]) for right in data[:2]
    ]
    assert difference == pytest.approx(accuracies[0] - accuracies[1])
    assert -1 <= low <= high <= 1
    turned = interval(theirs, ours, tested)
    np.testing.assert_allclose(turned, (-difference, -high, -low), atol=1e-6)
    assert interval(ours, theirs, tested) == (difference, low, high)  # seeded


@BOTH
@given(data=measured())
@settings(max_examples=40)
def test_what_is_not_tested_does_not_count(interval, data):
    ours, theirs, tested = data
    there = interval(ours & tested, theirs | ~tested, tested)
    assert there == interval(ours | ~tested, theirs & tested, tested)


@BOTH
@given(data=measured())
@settings(max_examples=40)
def test_groups_of_three_like_images_count_as_one_image(interval, data):
    in_groups = interval(*(3 * np.asarray(one, int) for one in data))
    np.testing.assert_allclose(in_groups, interval(*data), atol=1e-5)


@given(measured())
@settings(max_examples=40)
def test_many_systems_have_the_replicates_of_each(data):
    ours, theirs, tested = data
    stacked = crossed_bootstrap(np.stack([ours, theirs]), tested, n_replicates=50)
    for alone, right in zip(stacked, (ours, theirs)):
        one = crossed_bootstrap(right, tested, n_replicates=50)
        np.testing.assert_allclose(alone, one, atol=1e-6)


@given(measured())
@settings(max_examples=40)
def test_equal_systems_differ_by_nothing(data):
    ours, _, tested = data
    assert paired_interval(ours, ours, tested) == (0, 0, 0)
    difference, low, high = few_draws_interval(ours, ours, tested)
    assert difference == 0 and low == -high
    # All of these images would be equal by a chance of 5 %, if so many of all images differed.
    n_images = tested[0].sum()
    _, low, high = few_draws_interval(ours[:1], ours[:1], tested[:1])
    assert np.isclose((1 - high) ** n_images, 0.05)
    weights = np.r_[np.full(n_images, 1e-6), 3]  # as if there were one image
    assert np.isclose(few_draws_interval(*np.zeros((2, 1, n_images + 1)), [weights])[2], 0.95)
    right = np.ones_like(ours)
    np.testing.assert_allclose(crossed_bootstrap(right, tested), 1, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
@settings(max_examples=20)
def test_draws_that_say_the_same_are_as_one(seed, n_draws):
    values = np.random.default_rng(seed).random((1, 30)) < 0.7
    one, many = (ends(crossed_bootstrap(np.repeat(values, d, 0))) for d in (1, n_draws))
    np.testing.assert_allclose(one, many, atol=0.05)


def test_one_draw_has_the_spread_of_images():
    values = np.random.default_rng(0).random((1, 400)) < 0.3
    spread = crossed_bootstrap(values, n_replicates=4000).std()
    assert spread == pytest.approx(values.std() / np.sqrt(400), rel=0.05)


def test_images_are_matched_by_their_position():
    """Draws that test the same images vary together; those of other images do not."""
    easy = np.random.default_rng(0).random(100) < 0.5
    together = crossed_bootstrap(np.stack([easy] * 5)).std()
    apart, half = np.zeros((5, 500)), np.zeros((5, 500), bool)
    for d in range(5):
        columns = slice(100 * d, 100 * (d + 1))
        apart[d, columns], half[d, columns] = easy, True
    assert crossed_bootstrap(apart, half).std() < 0.7 * together


def simulate(rng, n_draws, n_images, images, draws, noise):
    """Differences whose mean is 0, with effects of images and of draws."""
    shape = n_draws, n_images
    return (
        images * rng.standard_normal(n_images)
        + draws * rng.standard_normal((n_draws, 1))
        + noise * rng.standard_normal(shape)
    )


@pytest.mark.parametrize(
    ("n_draws", "images", "draws", "noise", "least"),
    [
        (10, 0.4, 0.0, 0.2, 0.90),
        (10, 0.4, 0.02, 0.2, 0.88),
        (20, 0.1, 0.03, 0.3, 0.88),
        (10, 0.0, 0.0, 0.4, 0.97),  # too wide: the noise is counted three times
        (1, 0.4, 0.0, 0.0, 0.88),
        (3, 0.1, 0.03, 0.2, 0.88),
        (10, 0.1, 0.05, 0.1, 0.86),  # ten draws that differ more than images
    ],
)
def test_coverage(n_draws, images, draws, noise, least):
    rng = np.random.default_rng(0)
    n_trials = 300
    held = 0
    for _ in range(n_trials):
        values = simulate(rng, n_draws, 150, images, draws, noise)
        low, high = ends(crossed_bootstrap(values, n_replicates=300))
        held += low <= 0 <= high
    assert least <= held / n_trials <= 1


@pytest.mark.parametrize(
    ("n_draws", "images", "draws", "by_percentiles", "by_t"),
    [
        (2, 0.1, 0.3, 0.56, 0.93),  # draws differ much more than images
        (2, 0.1, 0.05, 0.75, 0.87),  # and a little more
        (2, 0.4, 0.02, 0.95, 0.96),  # and less
        (3, 0.1, 0.3, 0.78, 0.95),
        (3, 0.1, 0.05, 0.85, 0.94),
        (3, 0.4, 0.02, 0.95, 0.95),
        (5, 0.1, 0.3, 0.87, 0.96),
        (5, 0.1, 0.05, 0.9, 0.96),
        (10, 0.1, 0.05, 0.93, 0.95),
    ],
)
def test_coverage_of_few_draws(n_draws, images, draws, by_percentiles, by_t):
    """As docstrings say."""
    rng, held, held_by_t = np.random.default_rng(0), 0, 0
    for _ in range(300):
        values = 0.1 * simulate(rng, n_draws, 150, images, draws, 0.1)
        low, high = ends(crossed_bootstrap(values, n_replicates=300))
        held += low <= 0 <= high
        _, low, high = few_draws_interval(values, 0 * values, n_replicates=300)
        held_by_t += low <= 0 <= high
    assert held / 300 == pytest.approx(by_percentiles, abs=0.05)
    assert held_by_t / 300 == pytest.approx(by_t, abs=0.03)


def test_draws_hardly_widen_intervals_if_images_differ_more():
    values = simulate(np.random.default_rng(0), 10, 150, 0.4, 0.0, 0.2)
    _, low, high = paired_interval(values, 0 * values)
    _, lowest, highest = few_draws_interval(values, 0 * values)
    assert highest - lowest == pytest.approx(high - low, rel=0.05)


@BOTH
def test_folds_are_covered_with_caution(interval):
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        tested = rng.permutation(100) % 5 == np.arange(5)[:, None]
        values = 0.1 * rng.standard_normal(100) * tested
        _, low, high = interval(values, 0 * values, tested)
        held += low <= 0 <= high
    assert held / 200 >= 0.98


def systems(rng, n_draws, n_images):
    """Two systems that are right or wrong, by an image's difficulty and a draw's luck."""
    image = rng.normal(0.5, 1.5, n_images) + rng.normal(0, 0.7, (2, 1, n_images))
    luck = rng.normal(0, 0.15, (2, n_draws, 1)) + np.array([0.1, 0])[:, None, None]
    return image + luck + rng.logistic(0, 0.5, (2, n_draws, n_images)) > 0


def test_coverage_of_systems_that_are_right_or_wrong():
    rng = np.random.default_rng(0)
    ours, theirs = systems(rng, 1000, 10_000)
    truth = ours.mean() - theirs.mean()
    held = 0
    for _ in range(200):
        _, low, high = paired_interval(*systems(rng, 10, 300), n_replicates=300)
        held += low <= truth <= high
    assert 0.9 <= held / 200 <= 0.99


def test_errors_over_draws_alone_would_cover_too_little():
    """What the bootstrap over images adds: draws that share their images err together."""
    rng = np.random.default_rng(0)
    over_draws, crossed = [], []
    for _ in range(200):
        values = simulate(rng, 10, 150, 0.4, 0.0, 0.2)
        means = values.mean(axis=1)
        over_draws.append(abs(means.mean()) < 2.26 * means.std(ddof=1) / np.sqrt(10))
        low, high = ends(crossed_bootstrap(values, n_replicates=300))
        crossed.append(low <= 0 <= high)
    assert np.mean(over_draws) < 0.5
    assert np.mean(crossed) > 0.9


def test_many_images_take_little_memory(monkeypatch):
    """Replicates are made a few at a time, with the same spread."""
    values = np.random.default_rng(0).random((3, 300)) < 0.5
    whole = ends(crossed_bootstrap(values, n_replicates=2000))
    monkeypatch.setattr(_intervals, "_MAX_COUNTS", 5000)
    parts = crossed_bootstrap(values, n_replicates=2001)  # the last ones are fewer
    assert parts.shape == (2001,)
    np.testing.assert_allclose(ends(parts), whole, atol=0.01)
