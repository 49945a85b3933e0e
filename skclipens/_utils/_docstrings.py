"""Parts of docstrings that several classes or functions share."""

from inspect import cleandoc

_SHARED = {
    "embedder": """
        features : {"projected", "pooled", "both"}, default="projected"
            ``"projected"``: the embedding that a CLIP model compares with texts. ``"pooled"``: what
            the image tower gives before its last projection, which is wider and which the linear
            probes of [1]_ read; of a ModifiedResNet, such as RN50, what its attention pooling
            gives. ``"both"``: both from one forward pass, as two blocks, of which heads that start
            from prompts read the first; :func:`skclipens.make_backbone_pipeline` asks for them
            where the ensemble chooses its heads. A tower without a projection, such as those of
            timm and of SigLIP, has one kind of features and one block, whatever is asked for.
        views : None, {"mirror", "crops", "both"} or list of View, default=None
            Which views of an image are embedded. None: the image alone. ``"mirror"``: the image and
            its mirror image. ``"crops"``: the image and five crops of 80 percent a side, at the
            corners and in the centre. ``"both"``: all seven. Or a list of
            :class:`skclipens.images.View`. The embedding is the mean over the views, each scaled
            to unit length. Each view costs a forward pass; the image is decoded once.
        keep_plain : bool, default=False
            Whether the embedding of the image alone is a block of its own, before that of the
            views. Changes nothing without `views`.
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
        decode : {"auto", "exact"}, default="auto"
            How JPEG files are decoded. ``"auto"``: at 1/2, 1/4 or 1/8 of their size, where both
            sides keep at least three times the pixels that the model reads, which is several times
            faster for photographs of a camera; smaller files at full size. ``"exact"``: always at
            full size, as open_clip does.
        compile : bool, default=False
            Whether to compile the image tower with :func:`torch.compile`: minutes once per process,
            for faster passes after. On a CPU it needs a C++ compiler.
        batch_size : int, default=64
            Number of images in a forward pass; halved where the memory of a GPU does not suffice.
        n_jobs : int or None, default=-1
            Number of threads that decode and resize images: ahead of a GPU, or in turn with the
            forward passes if these run on the same cores. -1 stands for all cores, None for 1
            unless in a :func:`joblib.parallel_config` context.
        normalize : bool, default=True
            Whether to scale each block of columns to unit Euclidean length.
        cache : None, bool, str, os.PathLike or EmbeddingStore, default=None
            Where embeddings are kept, so that no image is embedded twice: by the folds of a
            cross-validation, ``predict``, other processes and later runs. None and False: nowhere;
            True: in a folder of the user's own; else a folder, or a
            :class:`skclipens.EmbeddingStore`. The key of an image is its content, not its name. If
            the store cannot be read or written to, there is a warning, and what is missing is
            computed.
        on_error : {"raise", "nan"}, default="raise"
            Whether an image that cannot be read is an error or a row of NaN. A
            :class:`skclipens.pipeline.BackbonePipeline` leaves such rows out of ``fit`` and marks
            them in ``predict``; a plain :class:`sklearn.pipeline.Pipeline` passes them on.
        verbose : bool or int, default=False
            Whether to show a progress bar.
        """,
    "text_backbone": """
        backbone : str or None, default=None
            The model that made the embeddings; see :class:`skclipens.backbones.Backbone`. None
            takes that of its block in an ensemble.
        """,
    "prompts": """
        templates : sequence of str, default=None
            Prompts, each with one ``{}`` for the name of a class. None stands for
            ``"a photo of a {}."``, ``"a picture of a {}."`` and ``"{}"``.
        class_names : mapping or sequence of str, default=None
            A mapping from labels to names, or a sequence that integer labels index and that holds
            those that are strings. None: labels that are strings are their own names. Prompts read
            ``_`` in a name as a blank.
        %(text_cache)s
        """,
    "text_cache": """
        cache : None, bool, str, os.PathLike or EmbeddingStore, default=None
            Where features of prompts are kept between processes, as the parameter of
            :class:`CLIPEmbedder`. In a process, no prompt is encoded twice in any case.
        """,
    "text_columns": """
        n_features_in_ : int
            Width of the backbone's embedding.
        feature_names_in_ : ndarray of shape (width,)
            Names of the columns; only where ``fit`` saw a frame.
        """,
    "paper": """
        .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
           Adaptive Backbone Ensembling", ICLR 2025.
        """,
}


def fill_doc(documented):
    """Decorate a class or function: ``%(key)s`` lines of its docstring become what keys stand for.

    Its indentation is taken away, as Python does from version 3.13 on.
    """
    if documented.__doc__:  # python -OO leaves none
        text = cleandoc(documented.__doc__)
        for key, shared in _SHARED.items():
            text = text.replace(f"%({key})s", cleandoc(shared))
        documented.__doc__ = text
    return documented
