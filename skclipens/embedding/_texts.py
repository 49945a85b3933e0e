"""Text features of classes: each prompt is encoded once, and cached as images are."""

import hashlib

import numpy as np

from .._utils._linalg import parts_of, unit_rows
from .._utils._locks import ForkLock
from ..backbones import load_backbone
from ..backbones._prompts import prompts_of
from ._finite import check_finite
from ._keys import image_keys, model_key
from ._reading import as_store
from ._row_cache import RowCache

# Increment it whenever the same prompt gives other features.
TEXT_VERSION = 2

_HELD = 4096  # prompts that are looked up at a time

_known = RowCache(2**27)  # features of prompts in this process, with or without a store
_encoding = ForkLock()  # so that no two threads encode the same prompt


def embed_classes(backbone, names, templates, *, cache=None, bar=None):
    """Return text features of classes, each the mean over its prompts, and the logit scale.

    Features are unit rows, (C, width), float32. The scale is the factor that turns cosines into
    logits. `cache` is as the parameter of embedders; `bar` is updated by the number of prompts that
    are done. Raise the errors of :func:`skclipens.backbones._text.encode_texts`, or that the model
    cannot be loaded.
    """
    store, parts = as_store(cache), []
    n_at_once = max(1, _HELD // len(templates))
    for some in (names[part] for part in parts_of(len(names), n_at_once)):
        prompts = [prompt for name in some for prompt in prompts_of(name, templates)]
        rows = _rows(backbone, list(dict.fromkeys(prompts)), store)
        of_classes = np.frombuffer(b"".join([rows[prompt] for prompt in prompts]), np.float32)
        of_classes = of_classes.reshape(len(prompts), -1)
        scale = float(of_classes[0, -1])
        of_classes = of_classes[:, :-1].reshape(len(some), len(templates), -1)
        parts.append(unit_rows(of_classes.mean(axis=1)))
        if bar is not None:
            bar.update(len(prompts))
    return np.concatenate(parts), scale


def _rows(backbone, prompts, store):
    """Return features of prompts, each with the logit scale appended, as bytes by prompt.

    A model is loaded only for prompts that are not known yet.
    """
    model = backbone, backbone.version
    rows, key = _known.get_many(None, model, prompts), None
    if store is not None:
        key = _text_key(backbone, store)
        stored = _stored(store, key, model, prompts)
        _keep(store, key, {prompt: row for prompt, row in rows.items() if prompt not in stored})
        rows = stored | rows
    if not _lacking(prompts, rows):
        return rows
    with _encoding:
        of_others = _known.get_many(None, model, _lacking(prompts, rows))  # threads, meanwhile
        _keep(store, key, of_others)
        rows |= of_others
        for fresh in _encoded(backbone, _lacking(prompts, rows)):
            _keep(store, key, fresh)
            _known.put_many(None, model, fresh)
            rows |= fresh
    return rows


def _keep(store, key, rows):
    """Put rows into the store, if there is one."""
    if store is not None:
        store._put([(key, _key(prompt), row) for prompt, row in rows.items()])


def _lacking(prompts, rows):
    return [prompt for prompt in prompts if prompt not in rows]


def _stored(store, key, model, prompts):
    """Return the rows that a store has, and cache them in this process."""
    stored = store._get([_key(prompt) for prompt in prompts], key)
    found = {prompt: row for prompt in prompts if (row := stored.get(_key(prompt)))}
    _known.put_many(None, model, found)
    return found


def _encoded(backbone, prompts):
    """Yield rows of prompts, a batch at a time."""
    if not prompts:
        return
    from ..backbones._text import BATCH_SIZE, encode_texts

    loaded = load_backbone(backbone)  # on the device where an embedder has loaded it
    loaded._check_unchanged()
    scale = np.float32(loaded.model.logit_scale.exp().item())
    prompts = sorted(prompts, key=len)  # towers read batches of short texts faster
    for some in (prompts[part] for part in parts_of(len(prompts), BATCH_SIZE)):
        rows = encode_texts(loaded, some)
        rows = np.column_stack([rows, np.full(len(rows), scale)])
        check_finite(rows, backbone.name, "fp32")
        yield {prompt: row.tobytes() for prompt, row in zip(some, rows)}


def _text_key(backbone, store):
    """Return the key of the model and of the files that its tokenizer reads."""
    key = f"{model_key(backbone, 'fp32', store)} texts {TEXT_VERSION}"
    files = backbone.tokenizer_files
    if not files:
        return key
    content = [(file.name, one) for file, one in zip(files, image_keys(files, store))]
    return f"{key} {hashlib.sha256(repr(content).encode()).hexdigest()[:16]}"


def _key(prompt):
    return b"t" + hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()[:16]
