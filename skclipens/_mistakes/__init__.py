"""Checks that warn of probable mistakes of a user, which would give wrong predictions.

They warn with :class:`skclipens.exceptions.SuspectedMistakeWarning`. Images, configurations of
models and single labels are checked where they are read.

- ``_rows``: weights, groups, contradictory labels, and labels that X does not predict.
- ``_columns``: columns that are constant, dominant, an index or made of the labels, or unnamed.
- ``_embeddings``: rows of zeros, of two lengths or of different pictures, and rescaled blocks.
- ``_models``: blocks out of order or of another model, by texts or else by probe pictures.
- ``_names``: names of classes in another order than labels, by fitted zero-shot heads.
- ``_row_order``: rows and labels in different orders.
- ``_series``: rows that are much like the row beside them, as of one object or film.
- ``_table_columns``: columns of numbers and words beside pictures.
- ``_predictions``: true labels to score that are exchanged, or predicted as by chance.
- ``_seen_rows``, ``_seen_columns``, ``_seen_embeddings``: rows to score or predict, compared with
  statistics of ``fit``. The last one also refuses columns of another backbone.

Thresholds have a comment with the reason, or are round numbers. ``python -m benchmarks.doubts``
measures how often correct uses and mistakes give a warning.
"""
