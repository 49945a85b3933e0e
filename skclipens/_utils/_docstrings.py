"""Parts of docstrings that several classes or functions share."""

import re
from inspect import cleandoc

_SHARED = {
    "embedder": """
        features : {"projected", "pooled", "both", "all"}, default="projected"
            The output of the image tower. ``"projected"``: the embedding that a CLIP model compares
            with texts. ``"pooled"``: the features before the last projection, which are wider and
            which the linear probes of [1]_ use; for a ModifiedResNet, such as RN50, the output of
            its attention pooling. ``"both"``: both as two blocks, from one forward pass. ``"all"``:
            also ``intermediate`` features as a third block, the mean over the patches at three
            quarters of the depth of a vision transformer, or over the map of the last stage but one
            of other towers. Heads that start from prompts use the first block only.
            :func:`skclipens.make_backbone_pipeline` uses ``"both"`` with its default heads. A tower
            without a projection, such as those of timm and of SigLIP, has no pooled features beside
            the projected ones.
        views : None, {"mirror", "crops", "both"} or list of View, default=None
            Which views of an image are embedded. None: the image alone. ``"mirror"``: the image and
            its mirror image. ``"crops"``: the image and five crops of 80 percent a side, at the
            corners and in the centre. ``"both"``: all seven. Or a list of
            :class:`skclipens.images.View`. The embedding is the mean over the views, each scaled
            to unit length. Each view costs a forward pass; the image is decoded once.
        keep_plain : bool, default=False
            Whether to add the embedding of the image alone as a block before that of the views. Has
            no effect without `views`.
        device : str or list of str, default="auto"
            ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` uses CUDA if available,
            otherwise MPS or the CPU. It is resolved when images are embedded. The devices of a
            list, such as ``["cuda:0", "cuda:1"]``, take batches in turn.
        precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
            Precision of the image tower's weights and activations; embeddings are always float32.
            ``"auto"`` is ``"fp16"`` on CUDA, the precision in which OpenAI published its weights;
            ``"bf16"`` on CPUs with the AVX512_BF16 instructions, since it was faster there with
            every model that was measured; and ``"fp32"`` elsewhere. With ``"bf16"``, embeddings of
            the zoo were within 2e-4 of those of ``"fp32"`` in cosine distance. With several
            devices, the first one decides.
        decode : {"auto", "exact"}, default="auto"
            How JPEG files are decoded. ``"auto"``: at 1/2, 1/4 or 1/8 of their size, if both sides
            keep at least three times the pixels that the model reads, which is several times
            faster for camera photographs; smaller files at full size. ``"exact"``: always at full
            size, as in open_clip.
        compile : bool, default=False
            Whether to compile the image tower with :func:`torch.compile`, which takes minutes once
            per process and makes forward passes faster. On a CPU it needs a C++ compiler.
        batch_size : int, default=64
            Number of images per forward pass; halved if a GPU runs out of memory.
        n_jobs : int or None, default=-1
            Number of threads that decode and resize images: ahead of a GPU, or alternating with the
            forward passes if these run on the same cores. -1 means all cores, None means 1 unless
            in a :func:`joblib.parallel_config` context.
        normalize : bool, default=True
            Whether to scale each block of columns to unit Euclidean length.
        cache : None, bool, str, os.PathLike or EmbeddingStore, default=None
            Where to keep embeddings, so that no image is embedded twice: in the folds of a
            cross-validation, in ``predict``, in other processes and in later runs. None or False:
            nowhere; True: in the default folder of :class:`skclipens.EmbeddingStore`; otherwise
            the path of a folder, or a store. The key of an image is its content, not its name. If
            the store cannot be read or written, there is a warning, and missing embeddings are
            computed.
        on_error : {"raise", "nan"}, default="raise"
            Whether an image that cannot be read raises an error or becomes a row of NaN. A
            :class:`skclipens.pipeline.BackbonePipeline` leaves such rows out of ``fit`` and marks
            them in ``predict``; a plain :class:`sklearn.pipeline.Pipeline` passes them on.
        verbose : bool or int, default=False
            Whether to show a progress bar.
        """,
    "text_backbone": """
        backbone : str or None, default=None
            The model that made the embeddings; see :class:`skclipens.backbones.Backbone`. None: in
            an ensemble, the backbone of the block.
        """,
    "prompts": """
        templates : sequence of str, default=None
            Prompts, each with one ``{}`` for the name of a class. None means
            ``"a photo of a {}."``, ``"a picture of a {}."`` and ``"{}"``.
        class_names : mapping or sequence of str, default=None
            A mapping from labels to names, or a sequence that integer labels index and that
            contains labels that are strings. None: labels that are strings are their own names. In
            prompts, ``_`` in a name becomes a space.
        %(text_cache)s
        """,
    "other_classes": """
        classes : array-like of shape (C,)
            Labels.
        class_names : mapping or sequence of str, default=None
            Names of these classes: integer labels index a sequence. None: labels are their own
            names. The parameter ``class_names`` is not used, since it names other classes.
        templates : sequence of str, default=None
            Prompts. None: those of the parameter ``templates``, since they suit any class.
        """,
    "text_cache": """
        cache : None, bool, str, os.PathLike or EmbeddingStore, default=None
            Where to keep embeddings of prompts between processes; see :class:`CLIPEmbedder`. Within
            a process, no prompt is encoded twice in any case.
        """,
    "X_as_in_fit": """
        X : array-like of shape (n, n_features)
            Embeddings, or any table, with the columns of ``fit``.
        """,
    "checks_of_X": """
        Raises
        ------
        ValueError
            If X has other columns than in ``fit``, or contains NaN or infinity.
        NotFittedError
            If the estimator is not fitted.

        Warns
        -----
        SuspectedMistakeWarning
            If the rows of X seem to have been made differently than in ``fit``, by other models or
            at another scale. Heads that need no prompts do not check this.
        """,
    "held_out_by": """
        cv : int, float, splitter or list of (train, test), default=5
            How rows are held out. An int: in at most this number of stratified folds, if the
            estimator has no ``cross_fit``, or there are groups that it does not take; otherwise as
            ``cross_fit`` does it.
            A float: this fraction of the rows. A splitter, or splits: in its folds. Without
            groups, copies of a row with its label are in the same part of a fold as the first.
        random_state : int, RandomState instance or None, default=None
            Controls the folds of an int or a float.
        """,
    "to_route": """
        %(routed)s
        y : ndarray of shape (n,), int
            Positions of the true classes, from 0 to C - 1.
        sample_weight : ndarray of shape (n,), default=None
            Weights of the rows. None: 1 each.
        """,
    "routed": """
        X : ndarray of shape (n, n_features)
            All columns of the table. Rules and routers with static weights ignore them.
        logits : ndarray of shape (n, E, C)
            Logits of the experts, divided by their temperatures unless ``calibrate=False``.
        """,
    "errors_of_routing": """
        Raises
        ------
        NotFittedError
            If the router learns, and ``fit`` was not called.
        ValueError
            If the number of experts or of columns is not that of fit.
        """,
    "prior_weights": """
        prior_weights : ndarray of shape (E,), default=None
            The weights :math:`p_e` of the penalty in :class:`StaticRouter`. None: 1 / E each.
        """,
    "y_and_predictions": """
        y_true : array-like of shape (n,)
            True labels.
        predictions : array-like of shape (n, E)
            Labels that each of E experts predicts for each row.
        """,
    "names_of_experts": """
        expert_names : sequence of E str, default=None
            Names of the experts. None: the column names of a DataFrame, otherwise ``"expert0"``,
            ``"expert1"`` and so on.
        """,
    "weights_of_rows": """
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. None: all rows count the same.
        """,
    "warns_of_labels": """
        SuspectedMistakeWarning
            If labels of `y_true` and of the predictions seem to be written or numbered
            differently, or to be in different orders; or if some of `y_true` are -1, which says
            that a row has no label, and no prediction is.
        """,
    "y_and_proba": """
        y_true : array-like of shape (n,)
            True labels. One that is not in `labels` counts as wrongly classified.
        y_proba : array-like of shape (n, C), or (n,) if C is 2
            Probabilities of the classes; of the second class, if (n,).
        """,
    "bins": """
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            ``"uniform"``: bins of equal width between 0 and 1. ``"quantile"``: bins of equally many
            rows. Rows of equal confidence share a bin, so there can be fewer quantile bins than
            `n_bins`.
        """,
    "to_plot": """
        estimator : ensemble, pipeline that ends in one, or search over either
            A fitted estimator.
        X : array-like of shape (n, ...)
            Input of `estimator`: embeddings, or images for a pipeline.
        y : array-like of shape (n,)
            True labels.
        """,
    "raises_of_plots": """
        TypeError
            If the estimator does not predict what is plotted.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a row has no label, or an image cannot be read.
        """,
    "warns_of_plots": """
        SuspectedMistakeWarning
            If labels of `y` did not occur in ``fit`` or seem to be exchanged, or if `y` or weights
            are in another order than X.
        """,
    "ax": """
        ax : matplotlib Axes, default=None
            Axes to plot on. None: a new figure.
        """,
    "annotate": """
        annotate : bool or "auto", default="auto"
            Whether to write the names beside the points; names that would overlap are left out;
            "auto": if there are at most 15 points.
        """,
    "points_and_lines": """
        names : sequence of n str
            Names of the points.
        costs : array-like of shape (n,)
            Their costs, in any unit.
        accuracies : array-like of shape (n,)
            Their accuracies.
        lines : dict of str to (array-like of shape (m,), array-like of shape (m,)), default=None
            Costs and accuracies of each line, by its name in the legend.
        cost_label : str, default="Cost"
            Label of the axis of costs, with its unit.
        oracle : float, default=None
            Accuracy of the oracle, which is right for a row if any backbone is. None: it is not
            drawn.
        """,
    "max_regions": """
        max_regions : int or None, default=30
            Number of columns that are shown, those with the largest counts. None: all.
        """,
    "cells": """
        include_values : bool or "auto", default="auto"
            Whether to write the values into the cells; "auto": if there are at most 200 cells.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the cells, from the smallest to the largest value.
        """,
    "image_column": """
        n_features_in_ : int
            1: a column of images.
        feature_names_in_ : ndarray of shape (1,)
            Name of the column; only if ``fit`` was passed a DataFrame.
        """,
    "classes": """
        classes_ : ndarray of shape (C,)
            Labels of the classes, sorted.
        """,
    "table_columns": """
        n_features_in_ : int
            Number of columns.
        feature_names_in_ : ndarray of shape (n_features,)
            Names of the columns; only if ``fit`` was passed a DataFrame.
        """,
    "text_features": """
        text_features_ : ndarray of shape (C, width), float32
            Text features of the classes, unit rows.
        """,
    "text_columns": """
        n_features_in_ : int
            Width of the backbone's embedding.
        feature_names_in_ : ndarray of shape (width,)
            Names of the columns; only if ``fit`` was passed a DataFrame.
        """,
    "paper": """
        .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
           Adaptive Backbone Ensembling", ICLR 2025.
        """,
}


def fill_doc(documented):
    """Decorate a class or function: replace ``%(key)s`` lines of its docstring by shared text.

    The docstring is also dedented, as Python does from version 3.13 on.
    """
    if documented.__doc__:  # python -OO leaves none
        documented.__doc__ = _filled(documented.__doc__)
    return documented


def _filled(text):
    """Return a docstring with its keys replaced. The shared texts may contain keys, too."""
    return re.sub(r"%\((\w+)\)s", lambda key: _filled(_SHARED[key[1]]), cleandoc(text))
