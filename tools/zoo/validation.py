"""Zero-shot accuracy of a zoo model while it trains, on a style it does not train on."""

import numpy as np
import open_clip
import torch

from .captions import class_phrases
from .sources import emoji_table

IMAGE_SIZE = 64
PROMPTS = ("{}", "a picture of a {}.", "a photo of a {}.")


def _on_white(pictures):
    rgba = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    rgb = rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]
    rgb = torch.nn.functional.interpolate(rgb, IMAGE_SIZE, mode="bicubic", antialias=True)
    return rgb.clamp(0, 1) * 2 - 1


@torch.inference_mode()
def validate(model, tokenizer, pictures, codes):
    """Return the shares of pictures, without flags, whose name and whose class is predicted."""
    model.eval()
    emoji = [emoji_table()[code] for code in codes]
    shown = [i for i, one in enumerate(emoji) if one.category != "flags"]
    images = _on_white(pictures[shown])
    features = torch.cat([model.encode_image(part, normalize=True) for part in images.split(256)])
    names = sorted({one.name for one in emoji_table().values()})
    classes, counts = np.unique([emoji[i].subcategory for i in shown], return_counts=True)
    classes = [one for one, count in zip(classes, counts, strict=True) if count >= 12]
    scores = {}
    for what, labels, truth in (
        ("names", names, [emoji[i].name for i in shown]),
        (
            "classes",
            [class_phrases()[one][0] for one in classes],
            [class_phrases()[emoji[i].subcategory][0] for i in shown],
        ),
    ):
        weights = open_clip.build_zero_shot_classifier(
            model, tokenizer, labels, [template.format for template in PROMPTS]
        )
        found = np.array(labels)[(features @ weights).argmax(1).numpy()]
        known = np.isin(truth, labels)
        scores[what] = round(float((found == np.array(truth))[known].mean()), 4)
    model.train()
    return scores
