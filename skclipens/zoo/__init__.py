"""The embedded zoo: five small CLIP models of different architecture, trained on the same data.

What they are, what they were trained on and how they score is in ``MODEL_CARD.md`` beside this
file; ``python -m tools.zoo.train`` reproduces them.

Weights and their card only.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
SUBCATEGORIES = Path(__file__).parent / "subcategories.json"  # names of classes in captions
VOCABULARY = Path(__file__).parent / "vocabulary.txt.gz"
MODELS = ("RN20", "ViT-8", "ViT-16", "RegNet", "DLA")
