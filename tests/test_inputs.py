"""Images as tables, datasets and web pages hold them."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.model_selection import cross_val_predict

from skclipens import CLIPEmbedder, ImageError, make_backbone_pipeline
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore, image_key
from skclipens.images import as_image_list, load_image

FILES = load_emoji(return_X_y=True)[0][::300]
CONTENT = [Path(file).read_bytes() for file in FILES]
PICTURES = [load_image(file) for file in FILES]
CELLS = [{"bytes": content, "path": "emoji.png"} for content in CONTENT]


class Pairs(torch.utils.data.Dataset):
    """Images and labels, as datasets of torchvision have them."""

    def __len__(self):
        return len(PICTURES)

    def __getitem__(self, i):
        return PICTURES[i], i % 2


def encoded(picture, kind):
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def same(X):
    items = as_image_list(X)
    assert len(items) == len(FILES)
    for i, picture in enumerate(PICTURES):
        assert load_image(items[i]).tobytes() == picture.tobytes()
    return True


def test_cells_of_hugging_face():
    column = pa.array(CELLS)
    table = pa.table({"image": column})
    for X in (
        CELLS,
        [{"bytes": None, "path": file} for file in FILES],
        [{"path": file} for file in FILES],
        pd.Series(CELLS),
        table.to_pandas(),
        table.to_pandas(types_mapper=pd.ArrowDtype)["image"],
        pl.from_arrow(table),
        pl.from_arrow(table)["image"],
        table,
        table["image"],
        column,
    ):
        assert same(X)


def test_a_column_of_a_parquet_file(tmp_path):
    labels = [i % 2 for i in range(len(CELLS))]
    pd.DataFrame({"image": CELLS, "label": labels}).to_parquet(tmp_path / "t.parquet")
    assert same(pd.read_parquet(tmp_path / "t.parquet")["image"])
    assert same(pl.read_parquet(tmp_path / "t.parquet")["image"])
    with pytest.raises(ValueError, match=r"2 columns \['image', 'label'\].*X\['image'\]"):
        as_image_list(pd.read_parquet(tmp_path / "t.parquet"))


def test_datasets_of_hugging_face():
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"image": PICTURES, "label": [0] * len(PICTURES)})
    assert same(dataset["image"])  # decoded
    assert same(dataset.cast_column("image", datasets.Image(decode=False))["image"])
    assert same(dataset.remove_columns("label"))
    with pytest.raises(ValueError, match=r"2 columns .*such as X\['image'\]"):
        as_image_list(dataset)
    with pytest.raises(ImageError, match=r"keys \['image', 'label'\].*row\['image'\]"):
        load_image(dataset[0])


def test_datasets_of_torch():
    assert same(Pairs())
    assert same(torch.utils.data.ConcatDataset([Pairs()]))
    assert same(
        torch.utils.data.TensorDataset(torch.tensor(np.stack(PICTURES)).permute(0, 3, 1, 2))
    )
    labels = ["odd" if i % 2 else "even" for i in range(len(PICTURES))]
    clf = make_backbone_pipeline("zoo/RN20", head="linear", router="uniform", calibrate=False)
    assert clf.fit(Pairs(), labels).score(Pairs(), labels) > 0.7
    for loader in (torch.utils.data.DataLoader(Pairs()), iter(PICTURES)):
        with pytest.raises(ValueError, match=r"pass (its images, such as X.dataset|list\(X\))"):
            as_image_list(loader)
    with pytest.raises(ValueError, match=r"got dict: pass list\(X\), with list\(X.values\(\)\) as"):
        as_image_list({"photos/1.jpg": "cat", "photos/2.jpg": "dog"})
    with pytest.raises(ValueError, match=r"pass what has the images in it, such as X\['image'\]"):
        as_image_list({"image": PICTURES, "label": labels})


class Column(Sequence):
    """One entry of the items of a dataset, as skorch's SliceDataset; an array only of numbers."""

    def __init__(self, dataset, rows=None):
        self.dataset = dataset
        self.rows = np.arange(len(dataset)) if rows is None else rows
        self.shape = self.rows.shape

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        rows = self.rows[i]
        return self.dataset[rows][0] if np.ndim(rows) == 0 else Column(self.dataset, rows)

    def __array__(self, dtype=None, copy=None):
        return np.array([np.asarray(image, float) for image in self])


class Channels(Pairs):
    """A dataset of tensors with channels first, as of torchvision's ToTensor."""

    def __getitem__(self, i):
        return torch.tensor(np.asarray(PICTURES[i])).permute(2, 0, 1), i % 2


def test_a_sequence_is_read_by_item_although_it_can_become_an_array():
    assert same(Column(Channels()))
    sizes = [(load_image(FILES[0]).resize((9, 9)),), *Pairs()]
    assert as_image_list(Column(sizes))[0].size == (9, 9)
    labels = ["odd" if i % 2 else "even" for i in range(len(PICTURES))]
    clf = make_backbone_pipeline("zoo/RN20", head="linear", router="uniform", calibrate=False)
    assert_array_equal(
        cross_val_predict(clf, Column(Pairs()), labels, cv=2),
        cross_val_predict(clf, PICTURES, labels, cv=2),
    )


def test_pairs_of_images_and_labels_are_told_how_to_take_the_images():
    labels = ["odd" if i % 2 else "even" for i in range(len(PICTURES))]
    clf = make_backbone_pipeline("zoo/RN20", head="linear", router="uniform", calibrate=False)
    cross_val_predict(clf, as_image_list(Pairs()), labels, cv=2)
    for X in (Pairs(), list(zip(FILES, range(len(FILES)), strict=True))):
        with pytest.raises(ImageError, match=r"image and its label, .*: \[x\[0\] for x in X\]"):
            cross_val_predict(clf, X, labels, cv=2)
        assert len(cross_val_predict(clf, [x[0] for x in X], labels, cv=2)) == len(labels)


def test_a_dataset_is_asked_for_each_image_once():
    asked = []

    class Counted(Pairs):
        def __getitem__(self, i):
            asked.append(i)
            return super().__getitem__(i)

    CLIPEmbedder("zoo/RN20", device="cpu").transform(Counted())
    assert sorted(asked) == list(range(len(PICTURES)))


class Damaged(Pairs):
    """A dataset whose second file was cut short."""

    def __getitem__(self, i):
        return Image.open(io.BytesIO(CONTENT[i][: 99 if i == 1 else None])).convert("RGB"), i % 2


def test_an_item_that_a_dataset_does_not_give_is_named(tmp_path):
    message = "row 1: item 1 of the Damaged cannot be read as an image: OSError: .*truncated"
    for cache in (None, tmp_path):
        embedder = CLIPEmbedder("zoo/RN20", cache=cache)
        with pytest.raises(ImageError, match=message):
            embedder.transform(Damaged())
        found = embedder.set_params(on_error="nan").transform(Damaged())
        assert np.flatnonzero(np.isnan(found).all(axis=1)).tolist() == [1]
    assert len(list(as_image_list(Pairs()))) == len(PICTURES)
    clf = make_backbone_pipeline("zoo/RN20", head="linear", on_error="nan", calibrate=False)
    with pytest.warns(UserWarning, match="cannot be read.*: row 1. Row 1: OSError: .*truncated"):
        clf.fit(Damaged(), ["odd" if i % 2 else "even" for i in range(len(PICTURES))])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WebP", "TIFF"])
def test_base64_and_data_urls(kind):
    content = encoded(PICTURES[0], kind)
    expected = load_image(content).tobytes()
    text = base64.b64encode(content).decode()
    for image in (
        text,
        base64.encodebytes(content).decode(),  # in lines
        base64.urlsafe_b64encode(content).decode(),
        f"data:image/{kind.lower()};base64,{text}",
        f"DATA:image/x;charset=utf-8;base64,{text.replace('+', '%2B').replace('=', '%3D')}",
        "data:image/x," + "".join(f"%{byte:02x}" for byte in content),
    ):
        assert load_image(image).tobytes() == expected


def test_damaged_base64():
    text = base64.b64encode(CONTENT[0]).decode()
    for image in ("data:image/png;base64,iVBORw0KGgo!", "data:image/png;base64," + text[:-3]):
        with pytest.raises(ImageError, match=r"base64 of .* letters .*cut short"):
            load_image(image)
    with pytest.raises(ImageError, match=r"content of .* bytes"):
        load_image(text[:400])
    with pytest.raises(ImageError, match="content of 0 bytes"):
        load_image("data:,")


@given(
    st.text(max_size=100).map("data:{}".format)
    | st.text("ABCab+/=", max_size=90).map("/9j/{}".format)
)
def test_any_text_is_an_image_or_an_image_error(text):
    try:
        load_image(text)
    except ImageError:
        pass


def test_contents_as_text_do_not_fill_messages():
    text = CONTENT[0].decode("latin-1")
    clf = make_backbone_pipeline("zoo/RN20", head="linear", on_error="nan", random_state=0)
    with pytest.warns(UserWarning, match="1 of . images cannot be read") as caught:
        clf.fit([*FILES, text], ["a", "b", *["a"] * (len(FILES) - 1)])
    (told,) = [str(one.message) for one in caught if "cannot be read" in str(one.message)]
    assert rf"row {len(FILES)} ('\x89PNG" in told
    assert len(told) < 1500 < len(text)


def test_paths_are_not_taken_for_base64():
    for path in ("/9j/photos/cat.jpg", "UklGR", "/9j/" + "a" * 100 + ".png", "a-" * 50):
        with pytest.raises(ImageError, match="no such file"):
            load_image(path)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"bytes": None, "path": None}, "missing value"),
        ({"bytes": b"?", "path": "cat.png"}, "content of 1 bytes of 'cat.png'"),
        ({"bytes": None, "path": "no/cat.png"}, "'no/cat.png' .*no such file"),
        ({"url": "x"}, r"dict with the keys \['url'\] .*a dict has 'bytes' or 'path'"),
        ("file:///cat.png", r"Write its path, without 'file://'\."),
        ("file:///cat%201.png", "without 'file://' and with urllib.parse.unquote, which"),
        (b"photos/cat 1.png", r"a path as bytes. Pass it as text: os.fsdecode\(path\)"),
        (base64.b64encode(CONTENT[0]), r"base64 as bytes. Pass it as text: image.decode\(\)"),
        ("https://x.org/cat.png", "Download it, or embed it with embed_to"),
        ("photos/*.png", r"A pattern is no path: pass sorted\(Path\(folder\).glob\(pattern\)\)"),
    ],
)
def test_errors_say_what_to_do(image, message):
    with pytest.raises(ImageError, match=message):
        load_image(image)
    with pytest.raises(ImageError, match="row 1: "):
        CLIPEmbedder("zoo/RN20").transform([FILES[0], image])


def test_patterns_and_folders_are_answered(tmp_path):
    with pytest.raises(ValueError, match=r"paths as text, got .*bytes .*X.astype\(str\)"):
        as_image_list(np.array(FILES).astype("S"))
    for one in ("photos/*.png", str(tmp_path), tmp_path):
        with pytest.raises(ValueError, match=r"sorted\(Path\(folder\).glob.*load_folder"):
            as_image_list(one)
    with pytest.raises(ValueError, match=r"got generator: pass list\(X\), or sorted\(X\)"):
        as_image_list(path for path in FILES)
    with pytest.raises(ValueError, match=r"or sorted\(X\) if they are paths"):
        as_image_list(tmp_path.glob("*.png"))


def test_what_is_wrapped_has_the_key_of_its_content(tmp_path):
    key = image_key(FILES[0])
    text = base64.b64encode(CONTENT[0]).decode()
    for image in (
        CELLS[0],
        {"bytes": None, "path": FILES[0]},
        text,
        f"data:image/png;base64,{text}",
    ):
        assert image_key(image) == key
    assert image_key({"a": 1}) is None
    store = EmbeddingStore(tmp_path)
    expected = CLIPEmbedder("zoo/RN20", cache=store).transform(FILES)
    found = CLIPEmbedder("zoo/RN20", cache=store).transform(CELLS)
    np.testing.assert_array_equal(found, expected)


def test_a_warning_names_cells_by_their_paths():
    clf = make_backbone_pipeline("zoo/RN20", head="linear", on_error="nan")
    broken = {"bytes": b"?", "path": "cat.png"}
    with pytest.warns(UserWarning, match=r"1 of 6 images .*: row 5 \('cat.png'\)"):
        clf.fit([*CELLS[:5], broken], list("ababab"))
