"""The short form of ``python -m benchmarks.faults``: every fault a few times."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and fork")
def test_faults_cost_nothing_that_was_paid_for():
    pytest.importorskip("pyarrow")
    run = [sys.executable, "-m", "benchmarks.faults", "--short"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.count("\n| ") > 25
    assert "| **no** |" not in done.stdout
