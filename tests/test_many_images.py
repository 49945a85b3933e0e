"""What is doubted of many pictures that one of them cannot tell."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from _said import said
from PIL import Image, ImageSequence
from torch.utils.data import Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

from skclipens import CLIPEmbedder, ImageError
from skclipens.datasets import load_emoji
from skclipens.images import load_image

FILES = load_emoji(return_X_y=True)[0][::100]
PIXELS = np.stack([load_image(file) for file in FILES])
CHANNELS_FIRST = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
FLAT = CHANNELS_FIRST.reshape(len(PIXELS), -1)  # as files of CIFAR-10 have them
EMBEDDER = CLIPEmbedder("zoo/RN20", device="cpu")
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (FLAT.reshape(-1, 64, 64, 3), r"reshape(n, 3, H, W).transpose(0, 2, 3, 1)"),
        ([*(FLAT / 255).reshape(-1, 64, 64, 3)], r"reshape(n, 3, H, W).transpose(0, 2, 3, 1)"),
        (
            torch.from_numpy(PIXELS).reshape(-1, 3, 64, 64),
            "reshape(n, H, W, 3).permute(0, 3, 1, 2)",
        ),
    ],
)
def test_reshape_in_place_of_transpose_is_doubted(images, advice):
    (text,) = said(EMBEDDER.transform, images)
    assert "Pixels seem to be scrambled, such as those of row 0" in text and advice in text
    assert not said(EMBEDDER.transform, images[:9])


WIDE, WIDE_FIRST = PIXELS[:, 8:56].copy(), CHANNELS_FIRST[:, :, 8:56].copy()  # 64 wide, 48 high


@pytest.mark.parametrize(
    "images",
    [
        WIDE.reshape(-1, 64, 48, 3),
        [*(WIDE / 255).reshape(-1, 64, 48, 3)],
        [*WIDE[..., 1].copy().reshape(-1, 64, 48)],
        [*torch.from_numpy(WIDE[..., 1].copy()).reshape(-1, 64, 48)],
        torch.from_numpy(WIDE_FIRST).reshape(-1, 3, 64, 48),
    ],
)
def test_height_and_width_exchanged_are_doubted(images):
    (text,) = said(EMBEDDER.transform, images)
    assert "Pixels seem to be scrambled, such as those of row 0" in text
    assert "that is 64 wide and 48 high" in text
    assert not said(EMBEDDER.transform, images[:9])


def test_grey_tensors_are_read_as_arrays_are():
    grey = WIDE[..., 1].copy()
    tensors = [*torch.from_numpy(grey)]
    assert not said(EMBEDDER.transform, tensors)
    np.testing.assert_array_equal(EMBEDDER.transform(tensors), EMBEDDER.transform([*grey]))


PHOTOS = RANDOM.integers(1, 255, size=(12, 9, 9, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    "images", [PHOTOS, PHOTOS / 255, torch.from_numpy(PHOTOS).permute(0, 3, 1, 2)]
)
def test_a_fourth_channel_that_is_no_alpha_is_doubted(images):
    (text,) = said(EMBEDDER.transform, images)
    assert text.startswith("The fourth channel seems to be no alpha, such as that of row 0")


def filled_again(canvas, give=lambda canvas: canvas[:]):
    rows = []
    for pixels in [*PIXELS, *PIXELS]:
        canvas[:] = pixels
        rows.append(give(canvas))
    return rows


def as_grey_picture(pixels):
    return Image.frombuffer("L", (64, 192), pixels, "raw", "L", 0, 1)


@pytest.mark.parametrize(
    "images",
    [
        [load_image(FILES[0])] * 20,
        filled_again(np.empty_like(PIXELS[0])),
        filled_again(np.empty_like(PIXELS[0]), lambda x: torch.from_numpy(x).permute(2, 0, 1)),
        filled_again(np.empty_like(PIXELS[0]), as_grey_picture),
    ],
)
def test_one_image_in_all_rows_is_doubted(images):
    (text,) = said(EMBEDDER.transform, images)
    assert f"All {len(images)} rows are the same image, such as row 0" in text
    (text,) = said(EMBEDDER.transform, [*PIXELS[:6], *images])
    assert f"{len(images)} of {len(images) + 6} rows are the same image, such as row 6" in text


def opened_from_one_buffer():
    buffer, rows = io.BytesIO(), []
    for pixels in [*PIXELS, *PIXELS]:
        buffer.seek(0)
        Image.fromarray(pixels).save(buffer, "BMP")
        buffer.seek(0)
        rows.append(Image.open(buffer))
    return rows


def test_a_buffer_that_is_filled_again_is_doubted():
    images = opened_from_one_buffer()
    (text,) = said(EMBEDDER.transform, images)
    assert f"All {len(images)} rows are the same image, such as row 0" in text


def cut_short(file):
    content = Path(file).read_bytes()
    return Image.open(io.BytesIO(content[: len(content) // 2]))


def closed(picture):
    picture.close()
    return picture


@pytest.mark.parametrize("bad", [cut_short(FILES[0]), closed(Image.new("RGB", (9, 9)))])
def test_an_opened_image_that_cannot_be_read_among_many_is_a_row_of_nan(bad):
    images = [*PIXELS, *PIXELS, bad]
    with pytest.raises(ImageError, match=rf"row {len(images) - 1}: PIL image"):
        EMBEDDER.transform(images)
    rows = CLIPEmbedder("zoo/RN20", device="cpu", on_error="nan").transform(images)
    assert np.isnan(rows).any(axis=1).tolist() == [False] * (len(images) - 1) + [True]


@pytest.mark.parametrize("ending", ["tif", "gif"])
def test_pages_that_are_one_image_are_doubted(tmp_path, ending):
    pictures = [Image.fromarray(pixels) for pixels in PIXELS[:3]]
    file = tmp_path / f"pages.{ending}"
    pictures[0].save(file, save_all=True, append_images=pictures[1:])
    with Image.open(file) as opened, Image.open(FILES[0]) as other:
        copies = [page.copy() for page in ImageSequence.Iterator(opened)]
        assert not said(EMBEDDER.transform, [*copies, *copies, other, other, opened])
        (text,) = said(EMBEDDER.transform, [other, *ImageSequence.Iterator(opened)])
    assert "Rows 1 and 2 are one PIL image of 3 pages, and show the same page, 2." in text


def test_missing_images_are_not_the_same():
    images = [*[None] * 20, *PIXELS]
    assert not said(CLIPEmbedder("zoo/RN20", device="cpu", on_error="nan").transform, images)


class Dataset:
    def __init__(self, item):
        self.item, self.asked = item, []

    def __len__(self):
        return len(FILES)

    def __getitem__(self, i):
        self.asked.append(i)
        return self.item(i), "label"


def shifted(i):
    return np.roll(PIXELS[i], RANDOM.integers(1, 63), axis=1)


@pytest.mark.parametrize(
    "item", [shifted, lambda i: Image.fromarray(shifted(i)), lambda i: torch.tensor(shifted(i).T)]
)
def test_augmentation_that_was_left_on_is_doubted(item):
    (text,) = said(EMBEDDER.transform, Dataset(item))
    assert text.startswith("The dataset gives other pixels for row 0 when it is asked again")


@pytest.mark.parametrize(
    "item",
    [PIXELS.__getitem__, FILES.__getitem__, lambda i: load_image(FILES[i])],
)
def test_datasets_without_it_are_not(item):
    dataset = Dataset(item)
    assert not said(EMBEDDER.transform, dataset)
    assert sorted(dataset.asked[:10]) == sorted([*range(5)] * 2)
    assert sorted(dataset.asked[10:]) == [*range(len(FILES))]


def test_one_image_that_changes_now_and_then_is_enough():
    dataset = Dataset(lambda i: shifted(i) if i == 3 else PIXELS[i] if i else 1 / i)
    embedder = CLIPEmbedder("zoo/RN20", device="cpu", on_error="nan")
    (text,) = said(embedder.transform, dataset)
    assert text.startswith("The dataset gives other pixels for row 3 when it is asked again")


@pytest.mark.parametrize(
    "images",
    [
        PIXELS,
        [np.asarray(Image.open(file).convert("RGBA")) for file in FILES],
        np.concatenate([PHOTOS[..., :3], np.full((12, 9, 9, 1), 200, np.uint8)], axis=-1),
        [FILES[0]] * 20,
        [*[FILES[0]] * 15, *FILES[1:], *FILES[1:]][:30],
        [load_image(FILES[0]) for _ in range(20)],
        [as_grey_picture(one.copy()) for one in [*PIXELS, *PIXELS]],
        [torch.tensor(one).permute(2, 0, 1) for one in [*PIXELS, *PIXELS]],
        np.where(np.arange(20)[:, None, None, None] < 10, 0, np.tile(PIXELS, (2, 1, 1, 1))[:20]),
        [np.full((9, 9), value, np.uint8) for value in range(20)],
        [Image.new("RGB", (9, 9))] * 9,
        FLAT.reshape(-1, 3, 64, 64).transpose(0, 2, 3, 1),
        torch.from_numpy(CHANNELS_FIRST),
        [*FLAT[:5].reshape(-1, 64, 64, 3), *PIXELS],
        WIDE,
        [*WIDE[..., 1].copy()],
        torch.from_numpy(WIDE_FIRST),
        np.repeat(RANDOM.integers(256, size=(20, 40, 1, 3), dtype=np.uint8), 100, axis=2),
        RANDOM.integers(256, size=(20, 16, 40, 3), dtype=np.uint8),
        RANDOM.integers(256, size=(20, 16, 16, 3), dtype=np.uint8),
        # of grey lines, and of brown ones
        np.broadcast_to(RANDOM.integers(256, size=(20, 64, 1, 1)), (20, 64, 64, 3)),
        np.broadcast_to(RANDOM.random((20, 64, 1, 1)), (20, 64, 64, 3)) * [1, 0.98, 0.96],
    ],
)
def test_right_pixels_are_not(images):
    assert not said(EMBEDDER.transform, images)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4, 0), (4, 0, 3), (0, 4)])
def test_arrays_without_pixels_are_an_error_alone(shape):
    def transform():
        with pytest.raises(ImageError, match=r"row 0: .*(no pixels|4 channels)"):
            EMBEDDER.transform([np.zeros(shape)] * 12)

    assert not said(transform)


def test_transparency_that_torchvision_leaves_out_is_doubted(tmp_path):
    (tmp_path / "emoji").mkdir()
    for i, file in enumerate(FILES[:12]):
        shutil.copy(file, tmp_path / f"emoji/{i}.png")
    for transform in (None, ToTensor()):
        dataset = ImageFolder(tmp_path, transform=transform)
        for images in (dataset, Subset(dataset, range(1, 12))):
            text = said(EMBEDDER.transform, images)[0]
            assert text.startswith("The loader of ImageFolder leaves out the transparency of files")
    assert not said(EMBEDDER.transform, [path for path, _ in dataset.samples])
    on_white = ImageFolder(tmp_path, loader=load_image)
    assert not said(EMBEDDER.transform, on_white)
    for file, picture in zip((tmp_path / "emoji").iterdir(), on_white):
        picture[0].save(file)
    assert not said(EMBEDDER.transform, ImageFolder(tmp_path))
