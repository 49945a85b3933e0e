"""What breaks in use costs nothing that was paid for."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.faults._kills import ensemble, table


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and fork")
def test_every_fault_a_few_times():
    pytest.importorskip("pyarrow")
    run = [sys.executable, "-m", "benchmarks.faults", "--short"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.count("\n| ") > 25
    assert "| **no** |" not in done.stdout


class FullDisk:
    """A memory that cannot write."""

    def cache(self, function, ignore):
        def fail(*args, **options):
            raise OSError(28, "No space left on device", "/memory/output.pkl")

        return fail


@pytest.mark.parametrize("options", [{}, {"router": "uniform", "calibrate": False}])
def test_a_memory_that_fails_costs_no_fit(options):
    X, y = table()
    expected = ensemble(**options).fit(X, y).predict_proba(X)
    with pytest.warns(
        UserWarning, match=r"No space.*'/memory/output.pkl'.*Free some space"
    ) as said:
        clf = ensemble(memory=FullDisk(), **options).fit(X, y)
    assert len(said) == 1
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


class LostFile(LogisticRegression):
    """A head whose fit reads a file that is not there."""

    fits = 0

    def fit(self, X, y):
        LostFile.fits += 1
        raise FileNotFoundError(2, "No such file", "prior.npy")


@pytest.mark.parametrize("options", [{}, {"router": "uniform", "calibrate": False}])
@pytest.mark.parametrize("kept", [False, True])
def test_a_file_that_a_head_lacks_is_no_error_of_the_memory(kept, options, tmp_path):
    LostFile.fits = 0
    clf = ensemble(memory=str(tmp_path) if kept else None, **options).set_params(head=LostFile())
    with warnings.catch_warnings(), pytest.raises(FileNotFoundError, match=r"prior\.npy"):
        warnings.simplefilter("error")
        clf.fit(*table())
    assert LostFile.fits == 1


def test_an_error_of_a_fit_is_that_error():
    X, y = table()
    X[0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ensemble(memory=FullDisk()).fit(X, y)
