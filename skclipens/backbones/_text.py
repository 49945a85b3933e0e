"""Class names through text towers."""

from functools import partial

import open_clip
import torch


@torch.inference_mode()
def encode_classes(backbone, class_names, templates):
    """Text features of classes, each the mean over its prompts.

    Parameters
    ----------
    backbone : LoadedBackbone
    class_names : sequence of C str
    templates : sequence of str
        Each with one ``{}`` for the name.

    Returns
    -------
    features : ndarray of shape (C, width), float32
        Unit rows.
    logit_scale : float
        What cosines are multiplied by to give logits.

    Raises
    ------
    ValueError
        If the backbone has no texts.
    ImportError
        If the texts need transformers, which is not installed.
    BackboneNotAvailableError
        If the tokenizer is not on this machine and cannot be fetched.
    """
    tokenizer = backbone.tokenizer  # first, as it says what is lacking
    # Replaced and not formatted: a brace elsewhere in a prompt is only a brace.
    prompts = [partial(template.replace, "{}") for template in templates]
    device = backbone.model.logit_scale.device
    weights = open_clip.build_zero_shot_classifier(
        backbone.model, tokenizer, list(class_names), prompts, device=device
    )
    return weights.T.float().cpu().numpy(), backbone.model.logit_scale.exp().item()
