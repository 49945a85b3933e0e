"""The zoo: five small CLIP models of different architecture, trained on the same data.

``MODEL_CARD.md`` in this folder describes the models, their training data and their scores;
``python -m tools.zoo.train`` reproduces them. This folder holds only weights and their card.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
SUBCATEGORIES = Path(__file__).parent / "subcategories.json"  # names of classes in captions
VOCABULARY = Path(__file__).parent / "vocabulary.txt.gz"
MODELS = ("RN20", "ViT-8", "ViT-16", "RegNet", "DLA")
