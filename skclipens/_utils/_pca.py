"""Fitted PCAs: exact means, no components without variance, and the same after pickling."""

import numpy as np

from ._linalg import mean_row


def fit_centred(pca, rows):
    """Fit a PCA to rows from which their mean is taken first.

    Its fastest solver subtracts the product of means from that of rows. If columns are far from
    zero, little but rounding would be left.
    """
    mean = mean_row(rows)
    with np.errstate(invalid="ignore"):  # constant columns have no variance to take a share of
        pca.set_params(copy=False).fit(rows - mean)  # of which no second copy is needed
    pca.set_params(copy=True)
    pca.mean_ += mean
    # In memory as those of a saved PCA will be: its products would be rounded otherwise.
    pca.components_ = np.ascontiguousarray(pca.components_)


def leave_out_flat_components(pca):
    """Remove the components of a fitted PCA along which rows do not differ.

    Whitening would turn them into noise as large as any other component.
    """
    variance, eps = pca.explained_variance_, np.finfo(pca.components_.dtype).eps
    # Even identical rows differ from their mean, since it is rounded.
    some = variance > 100 * eps * (variance[:1] + eps * (pca.mean_ @ pca.mean_))
    if some.all():
        return
    pca.components_ = pca.components_[some]
    pca.explained_variance_ = variance[some]
    pca.explained_variance_ratio_ = pca.explained_variance_ratio_[some]
    pca.singular_values_ = pca.singular_values_[some]
    pca.n_components_ = len(pca.components_)
