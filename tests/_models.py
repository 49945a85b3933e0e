"""Models that tests may change."""

import json
import shutil

from skclipens import zoo


def copy_of_zoo(name, folder):
    """A copy of a model of the zoo, which holds its vocabulary, too."""
    shutil.copytree(zoo.WEIGHTS / name, folder)
    shutil.copy(zoo.VOCABULARY, folder)
    config = folder / "open_clip_config.json"
    path = json.loads(config.read_text())["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["bpe_path"]
    config.write_text(config.read_text().replace(path, zoo.VOCABULARY.name))
    return folder
