"""Names of the columns of a table, and whether it is in memory. Imports nothing."""

# By the name of the type: a method that reads what is yet to be read.
_READS = {"LazyFrame": "collect", "RecordBatchReader": "read_all"}


def names_of_columns(X):
    """Return the names of the columns of a table as a list, or None if it has no columns.

    Frames of pandas and polars have them as ``columns``. Tables of pyarrow, whose ``columns`` are
    arrays, and datasets of Hugging Face have them as ``column_names``.
    """
    if getattr(X, "ndim", 2) != 2:  # a Series of Dask has columns, too
        return None
    names = getattr(X, "column_names", None)
    # In a frame of pandas this may be a column.
    names = names if isinstance(names, list) else getattr(X, "columns", None)
    return None if names is None else list(names)


def refuse_lazy(X, name="X"):
    """Raise ValueError if values of Dask, polars or pyarrow are yet to be computed or read."""
    method = _READS.get(type(X).__name__)
    if hasattr(X, "__dask_graph__") and X.__dask_graph__() is not None:  # None: in memory already
        method = "compute"
    if method is None:
        return
    raise ValueError(f"{name} is not in memory yet: pass {name}.{method}().")
