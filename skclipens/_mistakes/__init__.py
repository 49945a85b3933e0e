"""What looks like a user's mistake and would give wrong answers: each check warns of it.

All warn by :class:`skclipens.exceptions.SuspectedMistakeWarning`. They get arrays, names and what
a table's columns are said to be, or were in ``fit``, and know no kind of estimator. The checks of
pictures, of configurations of models and of single labels are where these are read.

Thresholds have the reason beside them, or are round numbers. ``python -m benchmarks.doubts``
measures how often right uses and mistakes are doubted.
"""
