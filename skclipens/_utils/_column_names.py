"""Names of the columns of a table. Imports nothing."""


def names_of_columns(X):
    """Return the names of the columns of a table as a list, or None if it has no columns.

    Frames of pandas and polars have them as ``columns``. Tables of pyarrow, whose ``columns`` are
    arrays, and datasets of Hugging Face have them as ``column_names``.
    """
    names = getattr(X, "column_names", None)
    # In a frame of pandas this may be a column.
    names = names if isinstance(names, list) else getattr(X, "columns", None)
    return None if names is None else list(names)
