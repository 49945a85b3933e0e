"""Blocks that say nothing."""

import warnings

from ._blocks import take


def warn_of_constant_blocks(experts, X):
    """Warn of blocks in which all rows are the same, such as of an embedding that has failed.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)

    Warns
    -----
    UserWarning
        Names the blocks.
    """
    if len(X) < 2:
        return
    blocks = {expert.block.name: expert.block for expert in experts}
    same = [name for name, block in blocks.items() if _is_constant(take(X, block.columns))]
    if same:
        warnings.warn(
            f"All rows of X are the same in {', '.join(map(repr, same))}, which so says nothing of "
            "the classes. Look at what made these columns.",
            UserWarning,
            stacklevel=6,
        )


def _is_constant(values):
    return bool((values[1] == values[0]).all() and (values == values[0]).all())
