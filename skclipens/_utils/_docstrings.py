"""Descriptions of parameters and attributes that several classes share."""

from inspect import cleandoc
from textwrap import indent

_SHARED = {
    "blocks": """
        blocks : None, str, list of str or list of (str, columns), default=None
            Which columns belong together. Backbones by name (``"zoo"``, ``"paper"``, a list; see
            :class:`skclipens.backbones.Backbone`) for the output of a
            :class:`MultiBackboneEmbedder` with the same backbones; pairs of a name and columns
            (slice, positions, mask, names) for any table. None reads blocks from column names
            ``BACKBONE__i`` where X is a frame, and takes all columns as one block otherwise.
        """,
    "head": """
        head : str, classifier or list, default="auto"
            Which experts there are.

            - ``"zero-shot"``: a :class:`ZeroShotHead` on each block that is named after a backbone;
            - ``"residual"``: a :class:`ResidualHead`, which corrects zero-shot logits in closed
              form, on each of these;
            - ``"tip-adapter"``, ``"tip-adapter-f"``: a :class:`TipAdapterHead` on each of these,
              training-free or fine-tuned;
            - ``"clip-adapter"``: a :class:`CLIPAdapterHead` on each of these;
            - ``"linear"``: a :class:`LinearDiscriminantHead` on each block;
            - ``"linear-probe"``: a :class:`LinearProbeHead`, logistic regression that sweeps its
              regularisation, on each block;
            - ``"linear-all"``: one :class:`LinearDiscriminantHead` on all blocks together;
            - a classifier: a clone of it on each block;
            - a list of these: all of them;
            - a list of (name, classifier, columns): exactly these experts; ``columns`` may name a
              block;
            - ``"auto"``: residual heads on blocks that are named after backbones, linear heads on
              others, and one linear head on all blocks together.
        """,
    "cv": """
        cv : int, float, splitter or "prefit", default=5
            How heads that learn from rows are kept from the rows that calibrate and combine.

            - an int: cross-fitting in at most so many stratified folds; the heads are then fitted
              again on all rows;
            - a float: so large a part of the rows is held out (0.1 in [1]_);
            - a splitter: cross-fitting in its folds;
            - ``"prefit"``: ``head`` is a list of triples with fitted classifiers, and all of X is
              for calibrating and combining.

            Zero-shot heads learn nothing from rows and need no folds, and a head with
            ``held_out_logits_`` of its own is not cross-fitted. Any other head can be judged by
            rows whose class has other rows to learn from. Where that holds for no more than half
            of the classes, as at one row per class, such heads are not judged if others can be:
            they share a small fixed weight, which decides where the others turn out to know
            nothing.
        """,
    "calibrate": """
        calibrate : bool, default=%(calibrate_default)s
            Whether to divide each expert's logits by a temperature that is fitted on rows which
            the head has not seen [2]_.
        """,
    "class_names": """
        class_names : mapping or sequence of str, default=None
            Names of the classes for prompts: a mapping from labels, or a sequence that integer
            labels index. Labels that are strings are their own names.
        """,
    "templates": """
        templates : sequence of str, default=None
            Prompts, each with one ``{}``; see :class:`ZeroShotHead`.
        """,
    "memory": """
        memory : str or object with the joblib.Memory interface, default=None
            Where fitted heads and their held-out logits are kept, so that ensembles that differ in
            how they combine the same heads fit these once. Nothing is kept by default.
        """,
    "n_jobs": """
        n_jobs : int, default=None
            Number of heads that are cross-fitted at the same time; see joblib. Each fit runs in one
            BLAS thread.
        """,
    "embedder": """
        device : str or list of str, default="auto"
            ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` takes CUDA where there is
            one, else MPS, else the CPU. Resolved when images are embedded, not before. The devices
            of a list, such as ``["cuda:0", "cuda:1"]``, take batches in turn.
        precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
            Precision of the image tower's weights and activations; embeddings are float32 always.
            ``"auto"`` is ``"fp16"`` on CUDA, the precision that OpenAI published its weights in;
            ``"bf16"`` on CPUs with the AVX512_BF16 instructions, since it was faster there with
            every model that was measured; and ``"fp32"`` elsewhere. With ``"bf16"``, embeddings of
            the zoo were within 2e-4 of those of ``"fp32"`` in cosine distance. Of several devices,
            the first decides.
        compile : bool, default=False
            Whether to compile the image tower with :func:`torch.compile`: minutes once per process,
            for faster passes after. On a CPU it needs a C++ compiler.
        batch_size : int, default=64
            Number of images in a forward pass; halved where the memory of a GPU does not suffice.
        n_jobs : int or None, default=-1
            Number of threads that decode and resize images: ahead of a GPU, or in turn with the
            forward passes where these run on the same cores. -1 stands for all cores, None for 1
            unless in a :func:`joblib.parallel_config` context.
        normalize : bool, default=True
            Whether to scale the embedding of each backbone to unit Euclidean length.
        cache : None, bool, str, os.PathLike or EmbeddingStore, default=None
            Where embeddings are kept, so that no image is embedded twice: by the folds of a
            cross-validation, ``predict``, other processes and later runs. None and False: nowhere;
            True: in a folder of the user's own; else a folder, or a
            :class:`skclipens.store.EmbeddingStore`. An image is known by its content, not by its
            name.
        on_error : {"raise", "nan"}, default="raise"
            Whether an image that cannot be read is an error or a row of NaN.
        verbose : bool or int, default=False
            Whether to show a progress bar.
        """,
    "fitted": """
        classes_ : ndarray of shape (C,)
            Labels.
        experts_ : list of E (name, head, columns)
            Fitted heads, each with the positions of its columns.
        expert_names_ : ndarray of shape (E,)
            Names of the experts: that of the block, followed by the head's where there are several
            kinds.
        judged_ : ndarray of shape (E,), bool
            Which experts could be judged; see ``cv``.
        temperatures_ : ndarray of shape (E,)
            What each expert's logits are divided by; ones without calibration.
        n_features_in_ : int
            Number of columns.
        feature_names_in_ : ndarray of shape (n_features_in_,)
            Names of the columns; only where ``fit`` saw a frame.
        """,
    "paper": """
        .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
           Adaptive Backbone Ensembling", ICLR 2025.
        """,
    "guo": """
        .. [2] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
        """,
}


def fill_doc(**values):
    """Decorate a class whose docstring holds ``%(key)s`` lines with what the keys stand for.

    Parameters
    ----------
    **values : str
        What further keys, which the shared descriptions may hold, stand for.

    Returns
    -------
    callable
    """

    def fill(cls):
        text = cls.__doc__
        for key, shared in _SHARED.items():
            mark = f"    %({key})s"
            text = text.replace(mark, indent(cleandoc(shared), " " * 4))
        for key, value in values.items():
            text = text.replace(f"%({key})s", value)
        cls.__doc__ = text
        return cls

    return fill
