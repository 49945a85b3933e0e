"""Encode texts with text towers."""

import torch

from ._devices import cpu_by_default, without_autocast

BATCH_SIZE = 16


@torch.inference_mode()
def encode_texts(backbone, texts):
    """Return the features of at most ``BATCH_SIZE`` texts, unit rows, (n, width), float32.

    Batches that are not full are padded: the last digits of features depend on the shape of the
    batch, but not on its other texts. So a text always has the same features, bit for bit.

    Raise the errors of the tokenizer of the LoadedBackbone: if there is no text tower, transformers
    is needed and not installed, or the vocabulary cannot be fetched.
    """
    tokenizer = backbone.tokenizer  # first, as its error names a missing package
    tokens = tokenizer(texts + texts[:1] * (BATCH_SIZE - len(texts)))
    device = backbone.model.logit_scale.device
    with cpu_by_default(), without_autocast(device):
        rows = backbone.model.encode_text(tokens.to(device), normalize=True)
    return rows[: len(texts)].float().cpu().numpy()
