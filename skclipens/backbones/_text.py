"""Encode texts with text towers."""

import torch

from ._devices import cpu_by_default, without_autocast

BATCH_SIZE = 16


@torch.inference_mode()
def encode_texts(backbone, texts):
    """Return the features of a few texts.

    Batches that are not full are padded: the last digits of features depend on the shape of the
    batch, but not on its other texts. So a text always has the same features, bit for bit.

    Parameters
    ----------
    backbone : LoadedBackbone
    texts : list of n str
        At most ``BATCH_SIZE``.

    Returns
    -------
    ndarray of shape (n, width), float32
        Unit rows.

    Raises
    ------
    ValueError
        If the backbone has no text tower.
    ImportError
        If the texts need transformers, which is not installed.
    BackboneNotAvailableError
        If the tokenizer is not on this machine and cannot be fetched.
    """
    tokenizer = backbone.tokenizer  # first, as its error names a missing package
    tokens = tokenizer(texts + texts[:1] * (BATCH_SIZE - len(texts)))
    device = backbone.model.logit_scale.device
    with cpu_by_default(), without_autocast(device):
        rows = backbone.model.encode_text(tokens.to(device), normalize=True)
    return rows[: len(texts)].float().cpu().numpy()
