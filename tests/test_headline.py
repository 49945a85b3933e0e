"""The headline figure shows the stored differences."""

import matplotlib.colors
import pandas as pd
import pytest

from benchmarks.paper.headline import BASE, GAIN, LOSS, headline

ROWS = [  # set, other, kind, accuracy, difference, low, high
    ("won", BASE, "single", 0.60, 0.10, 0.05, 0.15),
    ("lost", BASE, "single", 0.60, -0.08, -0.12, -0.03),
    ("won", "SVC, searched", "rival", 0.55, 0.15, 0.1, 0.2),
]


def test_gains_and_losses_stand_where_they_were_stored():
    names = ["set", "other", "kind", "accuracy", "difference", "low", "high"]
    differences = pd.DataFrame(ROWS, columns=names).assign(head="auto", counted=True, shots=4)
    results = pd.DataFrame(
        {"set": ["won", "lost"], "rule": "oracle", "head": "auto", "accuracy": 0.9, "shots": 4}
    )
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
