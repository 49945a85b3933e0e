"""Train the zoo: small CLIP models of five architectures on the same pictures and captions.

``python -m tools.zoo.train`` fetches the pictures by package name, trains every model, and
writes its configuration and weights below ``skclipens/zoo/weights``. A run that was interrupted
goes on from its last checkpoint. Needs ``pip install 'skclipens[zoo]'`` and npm.
"""

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from skclipens.zoo import VOCABULARY, WEIGHTS

from .augmentation import augment
from .captions import class_caption, specific_caption
from .sources import (
    TRAINING_STYLES,
    VALIDATION_STYLE,
    cache_directory,
    emoji_table,
    load_style,
)
from .validation import IMAGE_SIZE, validate
from .vocabulary import write_vocabulary

EMBED_DIM = 128
CONTEXT_LENGTH = 32
CHECKPOINT_EVERY = 100
COUNTRY_FLAG_WEIGHT = 0.25

# Image towers; everything else is the same for all.
ARCHITECTURES = {
    "RN20": dict(layers=[2, 2, 2, 2], width=20, head_width=64),
    "ViT-8": dict(layers=4, width=128, head_width=32, patch_size=8),
    "ViT-16": dict(layers=4, width=160, head_width=32, patch_size=16),
    "RegNet": dict(timm_model_name="regnetx_002", timm_pool="avg", timm_proj="linear"),
    "DLA": dict(timm_model_name="dla46_c", timm_pool="avg", timm_proj="linear"),
}

# Patches of 16 pixels learn slowest: after one cycle this model was last on the validation style.
CYCLES = {"ViT-16": 2}


@dataclass(frozen=True)
class Recipe:
    """What a training run depends on."""

    steps: int = 1_600
    cycles: int = 1
    batch_size: int = 256
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    warmup_steps: int = 100
    max_logit_scale: float = 100.0
    seed: int = 0

    def rate_at(self, step):
        """Learning rate of a step: in each cycle a linear warm-up, then a cosine to zero."""
        step = step % self.steps
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return self.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def model_config(name):
    """open_clip's configuration of a zoo model, with its preprocessing."""
    tokenizer = open_clip.tokenizer.SimpleTokenizer(bpe_path=str(VOCABULARY))
    return {
        "model_cfg": {
            "embed_dim": EMBED_DIM,
            "custom_text": True,
            "vision_cfg": {"image_size": IMAGE_SIZE, **ARCHITECTURES[name]},
            "text_cfg": {
                "context_length": CONTEXT_LENGTH,
                "vocab_size": tokenizer.vocab_size,
                "width": 128,
                "heads": 4,
                "layers": 2,
                "tokenizer_kwargs": {"bpe_path": "../../vocabulary.txt.gz"},
            },
        },
        "preprocess_cfg": {
            "size": [IMAGE_SIZE, IMAGE_SIZE],
            "mode": "RGB",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic",
            "resize_mode": "shortest",
            "fill_color": 255,
        },
    }


def build_model(name):
    """A zoo model with random weights."""
    config = model_config(name)["model_cfg"]
    config.pop("custom_text")
    return open_clip.CustomTextCLIP(**config)


class Pictures:
    """All training pictures, drawn emoji first and style second."""

    def __init__(self):
        self.emoji = emoji_table()
        self.by_code = {}
        self.pictures = []
        for style in TRAINING_STYLES:
            pictures, codes = load_style(style)
            for index, code in enumerate(codes):
                self.by_code.setdefault(code, {}).setdefault(style, []).append(
                    (len(self.pictures), index)
                )
            self.pictures.append(pictures)
        self.codes = sorted(self.by_code)
        weights = np.array(
            [
                COUNTRY_FLAG_WEIGHT if self.emoji[code].subcategory == "country-flag" else 1.0
                for code in self.codes
            ]
        )
        self.probabilities = weights / weights.sum()

    def draw(self, n, rng):
        """Pictures of ``n`` distinct emoji, (n, H, W, 4) uint8, and the emoji."""
        codes = rng.choice(self.codes, size=n, replace=False, p=self.probabilities)
        pictures = []
        for code in codes:
            styles = self.by_code[code]
            variants = styles[rng.choice(list(styles))]
            style, index = variants[rng.integers(len(variants))]
            pictures.append(self.pictures[style][index])
        return np.stack(pictures), [self.emoji[code] for code in codes]


def encode_captions(model, tokens):
    """Features of captions, short and long ones apart, read no further than their ends."""
    lengths = (tokens != 0).sum(1)
    order = lengths.argsort()
    mask, features = model.text.attn_mask, []
    for part in order.chunk(3):
        length = int(lengths[part].max())
        model.text.attn_mask = mask[:length, :length]
        features.append(model.encode_text(tokens[part, :length]))
    model.text.attn_mask = mask
    return F.normalize(torch.cat(features).float(), dim=-1)[order.argsort()]


def caption_loss(logits, targets):
    """CLIP's loss between images and captions, of which one may belong to several images.

    ``logits`` is (images, captions); ``targets`` gives each image's caption.
    """
    belongs = F.one_hot(targets, logits.shape[1]).T.to(logits.dtype)
    belongs = belongs / belongs.sum(1, keepdim=True)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, belongs)) / 2


def batch_loss(model, tokenizer, pictures, recipe, rng, generator):
    """Each picture is matched with a caption of its own and with one of its class."""
    rgba, emoji = pictures.draw(recipe.batch_size, rng)
    images = augment(torch.from_numpy(rgba), IMAGE_SIZE, generator)
    specific = [specific_caption(one, rng) for one in emoji]
    classes = sorted({one.subcategory for one in emoji})
    general = [class_caption(one, rng) for one in classes]
    texts, inverse = np.unique(specific, return_inverse=True)
    with torch.autocast("cpu", torch.bfloat16):
        image_features = F.normalize(model.encode_image(images).float(), dim=-1)
        text_features = encode_captions(model, tokenizer([*texts, *general]))
    logits = model.logit_scale.exp() * image_features @ text_features.T
    of_class = torch.tensor([classes.index(one.subcategory) for one in emoji])
    return caption_loss(logits[:, : len(texts)], torch.from_numpy(inverse)) + caption_loss(
        logits[:, len(texts) :], of_class
    )


def make_optimizer(model, recipe):
    """AdamW that decays matrices and kernels only, as CLIP's training does."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    free = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-6,
        fused=True,
    )


def export(model, name):
    """Write a model as an open_clip folder, its weights in half precision."""
    folder = WEIGHTS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(model_config(name), indent=2) + "\n")
    weights = folder / "open_clip_model.safetensors"
    save_file(
        {
            key: (value.half() if value.is_floating_point() else value).contiguous()
            for key, value in model.state_dict().items()
        },
        weights.with_suffix(".partial"),
    )
    weights.with_suffix(".partial").replace(weights)


def write_sizes():
    """Count parameters and operations of the image towers, for ``list_backbones``."""
    sizes = {}
    for name in ARCHITECTURES:
        tower = build_model(name).visual.eval()
        # The counter does not see into attention that runs as one kernel.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            tower(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE))
        sizes[name] = {
            "input_size": IMAGE_SIZE,
            "width": EMBED_DIM,
            "parameters": round(sum(p.numel() for p in tower.parameters()) / 1e6, 3),
            "gflops": round(counter.get_total_flops() / 1e9, 4),
        }
    (WEIGHTS / "sizes.json").write_text(json.dumps(sizes, indent=2) + "\n")


def train(name, recipe):
    """Train one model, from its last checkpoint where there is one, and export it."""
    torch.manual_seed(recipe.seed)
    model = build_model(name).to(memory_format=torch.channels_last).train()
    tokenizer = open_clip.tokenizer.SimpleTokenizer(
        bpe_path=str(VOCABULARY), context_length=CONTEXT_LENGTH
    )
    optimizer = make_optimizer(model, recipe)
    checkpoint = cache_directory() / f"checkpoint-{name}.pt"
    setting = {"recipe": asdict(recipe), "config": model_config(name)}
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["setting"] == setting:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            first = state["step"]
            print(f"{name}: resumed at step {first}", flush=True)
    pictures = Pictures()
    validation = load_style(VALIDATION_STYLE)
    start, running = time.perf_counter(), 0.0
    for step in range(first, recipe.cycles * recipe.steps):
        # Seeding by step makes a resumed run draw what an uninterrupted one would have drawn.
        rng = np.random.default_rng([recipe.seed, step])
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step)
        loss = batch_loss(model, tokenizer, pictures, recipe, rng, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(recipe.max_logit_scale))
        running += (loss.item() - running) / min(step - first + 1, 50)
        done = step + 1
        if done % 25 == 0:
            rate = (done - first) * recipe.batch_size / (time.perf_counter() - start)
            print(f"{name}: step {done}, loss {running:.3f}, {rate:.0f} images/s", flush=True)
        if done % CHECKPOINT_EVERY == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(
                {**state, "step": done, "setting": setting}, checkpoint.with_suffix(".partial")
            )
            checkpoint.with_suffix(".partial").replace(checkpoint)
        if done % (4 * CHECKPOINT_EVERY) == 0:
            scores = validate(model, tokenizer, *validation)
            print(f"{name}: step {done}, {VALIDATION_STYLE}: {scores}", flush=True)
    export(model, name)
    # A checkpoint is for an interrupted run: the next one starts afresh, whatever has changed.
    checkpoint.unlink(missing_ok=True)


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=list(ARCHITECTURES), metavar="NAME")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--threads", type=int, help="torch threads, by default all cores")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if not VOCABULARY.exists():
        write_vocabulary(VOCABULARY)
    write_sizes()
    for name in options.names:
        train(name, Recipe(steps=options.steps, cycles=CYCLES.get(name, 1)))


if __name__ == "__main__":
    main()
