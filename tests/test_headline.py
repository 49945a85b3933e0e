"""The headline figure shows the stored differences."""

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from benchmarks.paper import headline as program
from benchmarks.paper.headline import BASE, GAIN, LOSS, headline

ROWS = [  # set, other, kind, accuracy, difference, low, high
    ("won", BASE, "single", 0.60, 0.10, 0.05, 0.15),
    ("lost", BASE, "single", 0.60, -0.08, -0.12, -0.03),
    ("won", "SVC, searched", "rival", 0.55, 0.15, 0.1, 0.2),
]


@pytest.fixture
def differences():
    names = ["set", "other", "kind", "accuracy", "difference", "low", "high"]
    return pd.DataFrame(ROWS, columns=names).assign(head="auto", counted=True, shots=4)


@pytest.fixture
def results():
    return pd.DataFrame(
        {"set": ["won", "lost"], "rule": "oracle", "head": "auto", "accuracy": 0.9, "shots": 4}
    )


def test_gains_and_losses_stand_where_they_were_stored(differences, results):
    ax, *others = headline(differences, results).axes
    assert not others
    bars = {
        matplotlib.colors.to_hex(bar.lines[0].get_color()): bar.lines[0].get_xdata().item()
        for bar in ax.containers
    }
    assert bars == {GAIN: pytest.approx(10), LOSS: pytest.approx(-8)}
    marks = {(round(x), y) for line in ax.lines for x, y in zip(*line.get_data(), strict=True)}
    assert (-5, 2) in marks  # the rival, in the row of the set that is won
    assert {(30, 1), (30, 2)} <= marks  # the oracle
    assert (1, 0) in marks  # the mean
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["mean of sets", "lost", "won"]


def test_the_mean_has_the_interval_that_is_stored_beside_it(
    tmp_path, monkeypatch, differences, results
):
    drawn = []
    monkeypatch.setattr(program.plt, "close", drawn.append)
    differences.to_csv(tmp_path / "differences.csv", index=False)
    results.to_parquet(tmp_path / "results.parquet")
    program.main(tmp_path)
    mean = {"head": "auto", "other": BASE, "shots": 4, "difference": 0.01, "low": -0.02}
    other = mean | {"other": "SVC, searched", "difference": 0.15}
    means = pd.DataFrame([mean, other]).assign(high=0.03)
    means.to_csv(tmp_path / "means.csv", index=False)
    program.main(tmp_path)
    without, with_interval = (figure.axes[0] for figure in drawn)
    assert len(without.containers) == 2
    assert len(with_interval.containers) == 3
    (bars,) = with_interval.containers[-1].lines[2]
    np.testing.assert_allclose(bars.get_segments(), [[[-2, 0], [3, 0]]])
    assert (tmp_path / program.NAME).exists()
