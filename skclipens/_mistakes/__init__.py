"""Checks that warn of probable mistakes of a user, which would give wrong predictions.

All warn with :class:`skclipens.exceptions.SuspectedMistakeWarning`. They take arrays, names, and
what the columns of a table are declared to be, or were in ``fit``; they depend on no estimator.
Images, configurations of models and single labels are checked where they are read.

Thresholds have a comment with the reason, or are round numbers. ``python -m benchmarks.doubts``
measures how often correct uses and mistakes give a warning.
"""
