"""Training models of the zoo on, on pictures of one's own."""

import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image

from skclipens import MultiBackboneEmbedder
from skclipens.backbones import resolve_backbones

pytest.importorskip("open_clip")
from tools.zoo import sources, train
from tools.zoo.folders import PictureFolders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for name, colour in (("red_thing", (200, 0, 0)), ("blue", (0, 0, 200)), ("grey", (99, 99, 99))):
        (root / name / "images").mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40 + i, 30), colour).save(root / name / "images" / f"{i}.png")
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def table(folder):
    path = folder / "captions.csv"
    path.write_text(
        "class,caption,kind\nred_thing,red,name\nred_thing,scarlet,name\nblue,blue,name\n"
        "grey,grey,\nred_thing,a colour,general\nblue,a colour,general\n"
    )
    return path


def batch(pictures, n=9):
    return pictures.batch(n, 16, np.random.default_rng(0), torch.Generator().manual_seed(0))


def test_batches_of_folders(folder, table):
    found = batch(PictureFolders(folder, table), n=100)
    assert found.images.shape == (9, 3, 16, 16)
    assert -1 <= found.images.min() and found.images.max() <= 1
    red = [any(word in text for word in ("red", "scarlet")) for text in found.captions]
    assert sum(red) == 3
    assert len(found.general) in (1, 2) and all("a colour" in text for text in found.general)
    said = dict(zip(found.captions, found.of_general.tolist()))
    assert all((of == -1) == ("grey" in text) for text, of in said.items())


def test_names_of_folders_are_captions(folder):
    found = batch(PictureFolders(folder))
    assert any("red thing" in text for text in found.captions)
    assert found.general == [] and (found.of_general == -1).all()


def test_hidden_folders_and_files_are_no_pictures(tmp_path):
    for place in ("cat/1.png", "cat/._1.png", "cat/.thumbs/1.png", "dog/1.tif", "__MACOSX/1.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / place)
    pictures = PictureFolders(tmp_path)
    assert pictures.files == [str(tmp_path / "cat/1.png"), str(tmp_path / "dog/1.tif")]
    assert pictures.names == [["cat"], ["dog"]]


def test_a_class_without_a_caption_is_refused(folder, tmp_path):
    (tmp_path / "table.csv").write_text("class,caption\nblue,blue\n")
    with pytest.raises(ValueError, match="no caption of grey, red_thing"):
        PictureFolders(folder, tmp_path / "table.csv")
    with pytest.raises(ValueError, match="no pictures"):
        PictureFolders(tmp_path)


def command(folder, table, output):
    pictures = ["--pictures", str(folder), "--captions", str(table)]
    return ["ViT-16", *pictures, "--output", str(output), "--steps", "3", "--threads", "1"]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_model_of_pictures_is_a_backbone(folder, table, tmp_path, capsys):
    train.main(command(folder, table, tmp_path))
    (backbone,) = resolve_backbones([str(tmp_path / "ViT-16")])
    images = sorted(map(str, folder.glob("*/*/*.png")))
    ours = MultiBackboneEmbedder([backbone.name]).fit_transform(images)
    zoo = MultiBackboneEmbedder(["zoo/ViT-16"]).fit_transform(images)
    assert ours.shape == zoo.shape
    assert np.isfinite(ours).all() and not np.allclose(ours, zoo, atol=1e-3)
    assert not list(tmp_path.glob("checkpoint*"))


def test_an_interrupted_run_ends_with_the_same_weights(folder, table, tmp_path, monkeypatch):
    train.main(command(folder, table, tmp_path / "whole"))
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    step, seen = train.train_step, []

    def interrupted(*arguments):
        seen.append(arguments[-1])
        if seen == [0, 1]:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.main(command(folder, table, tmp_path / "parts"))
    train.main(command(folder, table, tmp_path / "parts"))
    assert seen == [0, 1, 1, 2]
    whole, parts = (
        train.load_file(tmp_path / kind / "ViT-16" / "open_clip_model.safetensors")
        for kind in ("whole", "parts")
    )
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value)


def test_pictures_need_an_output(folder, capsys):
    with pytest.raises(SystemExit):
        train.main(["--pictures", str(folder)])
    assert "needs --output" in capsys.readouterr().err


def test_a_package_is_fetched_by_two_at_once(tmp_path, monkeypatch):
    """Both begin before it is there; the slower one takes what the other has unpacked."""
    both, commands = Barrier(2, timeout=30), []

    def pack(command, *, cwd, **options):
        commands.append(command[-1])
        source = Path(cwd, "source.json")
        source.write_text("{}")
        with tarfile.open(Path(cwd, "some-1.0.tgz"), "w:gz") as tar:
            tar.add(source, "package/data.json")
        both.wait()
        return CompletedProcess(command, 0, stdout="some-1.0.tgz\n")

    monkeypatch.setenv("SKCLIPENS_CACHE", str(tmp_path))
    monkeypatch.setattr(sources.subprocess, "run", pack)
    with ThreadPoolExecutor(2) as threads:
        folders = list(threads.map(sources.npm_package, ["@a/some"] * 2, ["1.0"] * 2))
    assert commands == ["@a/some@1.0"] * 2
    assert folders == [tmp_path / "npm" / "a-some-1.0"] * 2
    assert [path.name for path in folders[0].iterdir()] == ["data.json"]
    assert list((tmp_path / "npm").iterdir()) == folders[:1]
    assert sources.npm_package("@a/some", "1.0") == folders[0] and len(commands) == 2


def test_an_empty_variable_names_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKCLIPENS_CACHE", "")
    assert sources.cache_directory() == tmp_path / ".cache" / "skclipens"
