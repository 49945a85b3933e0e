"""Checks that warn of probable mistakes of a user, which would give wrong predictions.

They warn with :class:`skclipens.exceptions.SuspectedMistakeWarning`. They take arrays, names, and
what the columns of a table are declared to be, or were in ``fit``. ``_names`` takes fitted heads;
``_seen_embeddings`` a fitted estimator, and it also refuses columns of another backbone.
Images, configurations of models and single labels are checked where they are read.

Thresholds have a comment with the reason, or are round numbers. ``python -m benchmarks.doubts``
measures how often correct uses and mistakes give a warning.
"""
