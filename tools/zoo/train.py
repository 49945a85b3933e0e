"""Train the zoo: small CLIP models of five architectures on the same pictures and captions.

``python -m tools.zoo.train`` fetches the pictures by package name, trains every model, and
writes its configuration and weights below ``skclipens/zoo/weights``. A run that was interrupted
goes on from its last checkpoint. Needs ``pip install 'skclipens[zoo]'`` and npm.

    python -m tools.zoo.train RN20 --pictures DIR --captions TABLE --output DIR --steps 3000

goes on from the zoo's weights with your own pictures, in one folder per class. TABLE is a CSV file
with the columns class, caption and kind ("name", or "general" for what classes have in common).
"""

import argparse
import json
import math
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from skclipens.backbones import Backbone
from skclipens.zoo import VOCABULARY, WEIGHTS

from .augmentation import augment
from .batch import Batch
from .captions import class_caption, specific_caption
from .folders import PictureFolders
from .sources import TRAINING_STYLES, VALIDATION_STYLE, cache_directory, emoji_table, load_style
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
    """Settings of a training run."""

    steps: int = 1_600
    cycles: int = 1
    batch_size: int = 256
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    warmup_steps: int = 100
    max_logit_scale: float = 100.0
    general_weight: float = 1.0
    seed: int = 0

    def rate_at(self, step):
        """Return the learning rate: in each cycle a linear warm-up, then a cosine to zero."""
        step = step % self.steps
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return self.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def model_config(name, vocabulary="../../vocabulary.txt.gz"):
    """Return open_clip's configuration of a zoo model, with its preprocessing.

    ``vocabulary`` is the path of the vocabulary, relative to the folder of the model.
    """
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
                "tokenizer_kwargs": {"bpe_path": vocabulary},
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
    """Return a zoo model with random weights."""
    config = model_config(name)["model_cfg"]
    config.pop("custom_text")
    return open_clip.CustomTextCLIP(**config)


class Pictures:
    """All training pictures of the zoo, drawn emoji first and style second."""

    key = "zoo"

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
        """Draw pictures of ``n`` distinct emoji, (n, H, W, 4) uint8; return them and the emoji."""
        codes = rng.choice(self.codes, size=n, replace=False, p=self.probabilities)
        pictures = []
        for code in codes:
            styles = self.by_code[code]
            variants = styles[rng.choice(list(styles))]
            style, index = variants[rng.integers(len(variants))]
            pictures.append(self.pictures[style][index])
        return np.stack(pictures), [self.emoji[code] for code in codes]

    def batch(self, n, size, rng, generator):
        """Return pictures, each with a caption of its own and with one of its class."""
        rgba, emoji = self.draw(n, rng)
        images = augment(torch.from_numpy(rgba), size, generator)
        captions = [specific_caption(one, rng) for one in emoji]
        classes = sorted({one.subcategory for one in emoji})
        general = [class_caption(one, rng) for one in classes]
        of_class = torch.tensor([classes.index(one.subcategory) for one in emoji])
        return Batch(images, captions, general, of_class)

    def scores(self, model, tokenizer):
        """Return zero-shot accuracies on a style that is not in training."""
        return validate(model, tokenizer, *load_style(VALIDATION_STYLE))


def encode_captions(model, tokens):
    """Return features of captions, in parts of similar length that are read only to their ends."""
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
    """Return CLIP's loss between images and captions; one caption may belong to several images.

    ``logits`` is (images, captions); ``targets`` gives each image's caption.
    """
    belongs = F.one_hot(targets, logits.shape[1]).T.to(logits.dtype)
    belongs = belongs / belongs.sum(1, keepdim=True)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, belongs)) / 2


def batch_loss(model, tokenizer, batch, recipe):
    """Return the loss of matching pictures with their captions, and with general ones if any."""
    texts, inverse = np.unique(batch.captions, return_inverse=True)
    with torch.autocast("cpu", torch.bfloat16):
        image_features = F.normalize(model.encode_image(batch.images).float(), dim=-1)
        text_features = encode_captions(model, tokenizer([*texts, *batch.general]))
    logits = model.logit_scale.exp() * image_features @ text_features.T
    loss = caption_loss(logits[:, : len(texts)], torch.from_numpy(inverse))
    known = batch.of_general >= 0
    if known.any():
        of_general = batch.of_general[known]
        general = caption_loss(logits[known, len(texts) :], of_general)
        loss = loss + recipe.general_weight * general
    return loss


def make_optimizer(model, recipe):
    """Return AdamW that decays only matrices and kernels, as in CLIP's training."""
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


def export(model, name, folder, vocabulary="../../vocabulary.txt.gz"):
    """Write a model as an open_clip folder, its weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.dumps(model_config(name, vocabulary), indent=2)
    (folder / "open_clip_config.json").write_text(config + "\n")
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
            "pooled_width": Backbone(f"zoo/{name}").pooled_width,
            "parameters": round(sum(p.numel() for p in tower.parameters()) / 1e6, 3),
            "gflops": round(counter.get_total_flops() / 1e9, 4),
        }
    (WEIGHTS / "sizes.json").write_text(json.dumps(sizes, indent=2) + "\n")


def load_weights(model, name):
    """Start from the zoo's weights."""
    stored = load_file(WEIGHTS / name / "open_clip_model.safetensors")
    model.load_state_dict(stored)


def train(model, name, recipe, pictures, checkpoint):
    """Train one model, from its last checkpoint if there is one."""
    model = model.to(memory_format=torch.channels_last).train()
    tokenizer = open_clip.tokenizer.SimpleTokenizer(
        bpe_path=str(VOCABULARY), context_length=CONTEXT_LENGTH
    )
    optimizer = make_optimizer(model, recipe)
    setting = {"recipe": asdict(recipe), "config": model_config(name), "pictures": pictures.key}
    first = resume(model, optimizer, checkpoint, setting)
    if first:
        print(f"{name}: resumed at step {first}", flush=True)
    start, running = time.perf_counter(), 0.0
    for step in range(first, recipe.cycles * recipe.steps):
        # Seeding by step makes a resumed run draw what an uninterrupted one would have drawn.
        rng = np.random.default_rng([recipe.seed, step])
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        batch = pictures.batch(recipe.batch_size, IMAGE_SIZE, rng, generator)
        loss = train_step(model, tokenizer, optimizer, batch, recipe, step)
        running += (loss - running) / min(step - first + 1, 50)
        done = step + 1
        if done % 25 == 0:
            rate = (done - first) * len(batch.images) / (time.perf_counter() - start)
            print(f"{name}: step {done}, loss {running:.3f}, {rate:.0f} images/s", flush=True)
        if done % CHECKPOINT_EVERY == 0:
            save(model, optimizer, done, checkpoint, setting)
        if done % (4 * CHECKPOINT_EVERY) == 0:
            scores = pictures.scores(model, tokenizer)
            if scores:
                print(f"{name}: step {done}, {VALIDATION_STYLE}: {scores}", flush=True)
    return model


def train_step(model, tokenizer, optimizer, batch, recipe, step):
    """Update the weights with one batch; return the loss before."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.rate_at(step)
    loss = batch_loss(model, tokenizer, batch, recipe)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(recipe.max_logit_scale))
    return loss.item()


def resume(model, optimizer, checkpoint, setting):
    """Load a checkpoint if it has the same setting, and return its number of steps."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    if state["setting"] != setting:
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def save(model, optimizer, step, checkpoint, setting):
    """Write a checkpoint atomically."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    partial = checkpoint.with_suffix(".partial")
    torch.save({**state, "step": step, "setting": setting}, partial)
    partial.replace(checkpoint)


def train_zoo(names, steps):
    """Train models of the zoo from random weights."""
    if not VOCABULARY.exists():
        write_vocabulary(VOCABULARY)
    write_sizes()
    for name in names:
        recipe = Recipe(steps=steps, cycles=CYCLES.get(name, 1))
        torch.manual_seed(recipe.seed)
        checkpoint = cache_directory() / f"checkpoint-{name}.pt"
        model = train(build_model(name), name, recipe, Pictures(), checkpoint)
        export(model, name, WEIGHTS / name)
        # A checkpoint is for interrupted runs only: the next run starts from scratch.
        checkpoint.unlink(missing_ok=True)


def train_on_pictures(names, pictures, output, steps):
    """Train models further from the zoo's weights, each into its own folder."""
    output.mkdir(parents=True, exist_ok=True)
    for name in names:
        recipe = Recipe(steps=steps, learning_rate=1e-3, general_weight=0.3)
        model = build_model(name)
        load_weights(model, name)
        checkpoint = output / f"checkpoint-{name}.pt"
        train(model, name, recipe, pictures, checkpoint)
        export(model, name, output / name, VOCABULARY.name)
        shutil.copyfile(VOCABULARY, output / name / VOCABULARY.name)
        checkpoint.unlink(missing_ok=True)


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.zoo.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", default=list(ARCHITECTURES), metavar="NAME")
    add("--steps", type=int, help=f"of the learning rate's cycle, by default {Recipe.steps}")
    add("--threads", type=int, help="torch threads, by default all cores")
    add("--pictures", type=Path, metavar="DIR", help="a folder with a folder for each class")
    add("--captions", type=Path, metavar="TABLE", help="by default the names of the folders")
    add("--output", type=Path, metavar="DIR", help="where models of --pictures go")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.pictures is None:
        return train_zoo(options.names, options.steps or Recipe.steps)
    if options.output is None:
        parser.error("--pictures needs --output, a folder for the models.")
    pictures = PictureFolders(options.pictures, options.captions)
    train_on_pictures(options.names, pictures, options.output, options.steps or Recipe.steps)


if __name__ == "__main__":
    main()
