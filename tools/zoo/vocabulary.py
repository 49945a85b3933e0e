"""The zoo's vocabulary: those of open_clip's BPE merges that its captions use most."""

import gzip
from collections import Counter

from open_clip.tokenizer import SimpleTokenizer, default_bpe

from .captions import TEMPLATES, class_phrases
from .sources import emoji_table

N_MERGES = 2_300


def _corpus():
    for emoji in emoji_table().values():
        yield emoji.name
        yield from emoji.tags
    for phrases in class_phrases().values():
        yield from phrases * 10
    yield from (template.format("") for template in TEMPLATES * 1000)


def _parts(token, pair_of):
    """Yield the merges that build a token, last first."""
    if token in pair_of:
        yield pair_of[token]
        for part in pair_of[token]:
            yield from _parts(part, pair_of)


def write_vocabulary(path):
    """Write a merges file that ``SimpleTokenizer(bpe_path=path)`` reads."""
    tokenizer = SimpleTokenizer()
    pair_of = {"".join(pair): pair for pair in tokenizer.bpe_ranks}
    counts = Counter(token for text in _corpus() for token in tokenizer.encode(text))
    chosen = set()
    for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        chosen.update(_parts(tokenizer.decoder[token], pair_of))
        if len(chosen) >= N_MERGES:
            break
    with gzip.open(default_bpe(), "rt", encoding="utf-8") as file:
        header = file.readline().strip()
    merges = [" ".join(pair) for pair in tokenizer.bpe_ranks if pair in chosen]
    data = "\n".join([header, *merges]).encode()
    path.write_bytes(gzip.compress(data, mtime=0))
