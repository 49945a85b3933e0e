"""Encode texts with text towers."""

import copy

import numpy as np
import open_clip
import torch

from ._devices import cpu_by_default, without_autocast

BATCH_SIZE = 16
_STEP = 16  # tokens


@torch.inference_mode()
def encode_texts(backbone, texts):
    """Return the features of at most ``BATCH_SIZE`` texts, unit rows, (n, width), float32.

    Batches that are not full are padded, and texts are cut after their end, at a multiple of 16
    tokens: the last digits of features depend on the shape of the batch, but not on its other
    texts. So a text always has the same features, bit for bit.

    Raise the errors of the tokenizer of the LoadedBackbone: if there is no text tower, transformers
    is needed and not installed, or the vocabulary cannot be fetched.
    """
    tokens = backbone.tokenizer(texts)  # first, as its error names a missing package
    lengths, parts = _lengths(backbone.model, tokens), {}
    device = backbone.model.logit_scale.device
    with cpu_by_default(), without_autocast(device):
        for length in lengths.unique().tolist():
            rows = torch.nonzero(lengths == length)[:, 0]
            padded = torch.cat([rows, rows[:1].expand(BATCH_SIZE - len(rows))])
            model = backbone.model
            if length < tokens.shape[1]:
                model = _reader_of(model, length)
            features = model.encode_text(tokens[padded, :length].to(device), normalize=True)
            parts |= zip(rows.tolist(), features.float().cpu().numpy())
    return np.stack([parts[row] for row in range(len(texts))])


def _lengths(model, tokens):
    """Return to which token each text has to be read, as a multiple of 16 if it is not the last.

    A causal tower, which returns the features of the token at the end, reads none after it. The end
    has the largest number of all tokens.
    """
    tower, n_tokens = _tower(model), tokens.shape[1]
    pool = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", None)
    is_causal = getattr(tower, "attn_mask", None) is not None
    if pool != "argmax" or not is_causal or getattr(tower, "cls_emb", None) is not None:
        return torch.full((len(tokens),), n_tokens)
    return (tokens.argmax(dim=1) // _STEP * _STEP + _STEP).clamp(max=n_tokens)


def _tower(model):
    """Return the module with the positions of the tokens; None if it is not of open_clip."""
    if isinstance(model, open_clip.CLIP):
        return model
    return model.text if isinstance(model, open_clip.CustomTextCLIP) else None


def _reader_of(model, length):
    """Return a model with the same weights that reads texts of so many tokens."""
    tower = _tower(model)
    shorter = copy.copy(tower)
    positions = {"positional_embedding": tower.positional_embedding[:length]}
    shorter._parameters = tower._parameters | positions
    shorter._buffers = tower._buffers | {"attn_mask": tower.attn_mask[:length, :length]}
    if tower is model:
        return shorter
    model = copy.copy(model)
    model._modules = model._modules | {"text": shorter}
    return model
