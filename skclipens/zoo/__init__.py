"""The embedded zoo: five small CLIP models of different architecture, trained on the same data.

What they are, what they were trained on and how they score is in ``MODEL_CARD.md`` beside this
file; ``python -m skclipens.zoo.train`` reproduces them.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
VOCABULARY = Path(__file__).parent / "vocabulary.txt.gz"
MODELS = ("RN20", "ViT-8", "ViT-16", "RegNet", "DLA")
