"""Tests of views of an image and of pooled features, against open_clip and Pillow by hand."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import open_clip
import pandas as pd
import pytest
import timm
import torch
from _pictures import some_of_each
from numpy.testing import assert_allclose, assert_array_equal
from open_clip.model import _build_vision_tower
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.fixes import parse_version
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeClassifier,
    CLIPEmbedder,
    EmbeddingStore,
    MultiBackboneEmbedder,
    ZeroShotHead,
    list_backbones,
    make_backbone_pipeline,
    zoo,
)
from skclipens.backbones import Backbone, load_backbone
from skclipens.backbones._blocks import find_blocks
from skclipens.backbones._kinds import BlockKind, kinds_of, parse_kind
from skclipens.backbones._preprocessing import scale_pixels
from skclipens.backbones._towers import SeveralFeatures, intermediate_layer, pooled_width, projects
from skclipens.cascade import BackboneSelector, CascadeEnsemble
from skclipens.embedding import read_embeddings
from skclipens.embedding._keys import block_key, model_key
from skclipens.embedding._plan import plan_blocks
from skclipens.images import View, _load, load_image
from skclipens.images._views import box_in_pixels, crop, n_passes, resolve_views
from skclipens.inspection import AccuracyCostDisplay

PAIR = ["zoo/RN20", "zoo/ViT-16"]
ZOO = [f"zoo/{name}" for name in zoo.MODELS]
CPU = {"device": "cpu", "precision": "fp32"}
POOLED = {"zoo/RN20": 640, "zoo/ViT-8": 128, "zoo/ViT-16": 160, "zoo/RegNet": 368, "zoo/DLA": 256}
CORNERS = [(0, 0), (0.2, 0), (0, 0.2), (0.2, 0.2), (0.1, 0.1)]


@pytest.fixture(scope="module")
def few():
    return some_of_each(4, 8, min_class_size=40)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def crops(picture):
    """Five crops of 80 percent a side."""
    w, h = picture.size
    return [
        picture.crop((round(x * w), round(y * h), round((x + 0.8) * w), round((y + 0.8) * h)))
        for x, y in CORNERS
    ]


@cache
def preprocessing_by_hand(spec):
    """open_clip's own preprocessing."""
    return open_clip.create_model_and_transforms(Backbone(spec).model_name)[2]


def pixels_by_hand(spec, pictures):
    return torch.stack([preprocessing_by_hand(spec)(picture) for picture in pictures])


def pooled_by_hand(tower, pixels):
    """The input of the last projection, as a user would get it from the modules."""
    if isinstance(tower, open_clip.timm_model.TimmModel):
        return tower.trunk(pixels)
    if isinstance(tower, open_clip.modified_resnet.ModifiedResNet):
        pool, before = tower.attnpool, tower.attnpool.c_proj
        pool.c_proj = torch.nn.Linear(before.in_features, before.in_features)
        torch.nn.init.eye_(pool.c_proj.weight)
        torch.nn.init.zeros_(pool.c_proj.bias)
        pooled = tower(pixels)
        pool.c_proj = before
        return pooled
    before, tower.proj = tower.proj, None
    pooled = tower(pixels)
    tower.proj = before
    return pooled


def by_hand(spec, pixels, pooled):
    model = load_backbone(spec, "cpu").model
    with torch.no_grad():
        found = pooled_by_hand(model.visual, pixels) if pooled else model.encode_image(pixels)
    return found.numpy()


def views_by_hand(spec, paths, views, pooled):
    """The mean of unit embeddings over the views of each picture."""
    pictures = [load_image(path) for path in paths]
    whole = pixels_by_hand(spec, pictures)
    inputs = [whole]
    if views in ("mirror", "both"):
        inputs.append(whole.flip(3))
    if views in ("crops", "both"):
        parts = zip(*(crops(picture) for picture in pictures), strict=True)
        inputs += [pixels_by_hand(spec, part) for part in parts]
    return np.mean([unit(by_hand(spec, one, pooled)) for one in inputs], axis=0)


# Values


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("views", ["mirror", "crops", "both"])
@pytest.mark.parametrize("spec", ["zoo/RN20", "zoo/ViT-8", "zoo/DLA"])
def test_views_are_the_mean_of_unit_embeddings(spec, views, pooled, paths):
    paths = paths[:4]  # a batch, and one that is filled up
    expected = views_by_hand(spec, paths, views, pooled)
    embedder = CLIPEmbedder(
        spec, views=views, features="pooled" if pooled else "projected", batch_size=3, **CPU
    )
    assert_allclose(embedder.fit_transform(paths), unit(expected), atol=1e-5)
    assert_allclose(embedder.set_params(normalize=False).transform(paths), expected, atol=1e-5)


INNER = {  # by the names of their modules
    "zoo/RN20": ("layer3", 320),
    "zoo/ViT-8": ("transformer.resblocks.2", 128),
    "zoo/ViT-16": ("transformer.resblocks.2", 160),
    "zoo/RegNet": ("trunk.s3", 152),
    "zoo/DLA": ("trunk.level4", 128),
}


@pytest.mark.parametrize("spec", INNER)
def test_intermediate_features_are_the_mean_over_an_inner_layer(spec, paths):
    name, width = INNER[spec]
    pixels = pixels_by_hand(spec, [load_image(path) for path in paths])
    tower, seen = load_backbone(spec, "cpu").model.visual, []
    hook = tower.get_submodule(name).register_forward_hook(lambda *of: seen.append(of[-1]))
    with torch.no_grad():
        tower(pixels)
    hook.remove()
    (seen,) = seen
    expected = seen[:, 1:].mean(1) if seen.ndim == 3 else seen.mean((2, 3))
    assert expected.shape[1] == width == Backbone(spec).intermediate_width
    raw = {"normalize": False, **CPU}
    both, found = (
        CLIPEmbedder(spec, features=one, **raw).fit_transform(paths) for one in ("both", "all")
    )
    assert_array_equal(found[:, :-width], both)  # from the same forward pass
    assert_allclose(found[:, -width:], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("spec", ZOO)
def test_pooled_features_are_those_before_the_projection(spec, paths):
    pixels = pixels_by_hand(spec, [load_image(path) for path in paths])
    projected, pooled = (by_hand(spec, pixels, which) for which in (False, True))
    assert pooled.shape[1] == POOLED[spec] == Backbone(spec).pooled_width
    raw = {"normalize": False, **CPU}
    found = CLIPEmbedder(spec, features="pooled", **raw).fit_transform(paths)
    assert_allclose(found, pooled, atol=1e-4 * np.abs(pooled).max())
    both = CLIPEmbedder(spec, features="both", **raw).fit_transform(paths)
    assert_allclose(both, np.hstack([projected, found]), atol=1e-4 * np.abs(pooled).max())
    scaled = CLIPEmbedder(spec, features="both", **CPU).transform(paths)
    assert_allclose(scaled, np.hstack([unit(projected), unit(pooled)]), atol=1e-5)


@pytest.mark.parametrize("spec", ZOO)
def test_a_projection_is_the_same_with_pooled_features_beside_it(spec, paths):
    def embed(features):
        embedder = CLIPEmbedder(spec, features=features, device="cpu", precision="bf16")
        return embedder.fit_transform(paths)

    projected, both = embed("projected"), embed("both")
    assert_allclose(both[:, : projected.shape[1]], projected, atol=1e-4)


def test_own_views(paths):
    picture = load_image(paths[0])
    w, h = picture.size
    left, right = pixels_by_hand(
        "zoo/RN20", [picture.crop((0, 0, w // 2, h)), picture.crop((w // 2, 0, w, h))]
    )
    views = [View((0, 0, 0.5, 1)), View((0.5, 0, 1, 1), mirror=True)]
    rows = [by_hand("zoo/RN20", one[None], False) for one in (left, right.flip(2))]
    found = CLIPEmbedder("zoo/RN20", views=views, **CPU).transform(paths[:1])
    assert_allclose(found, unit(np.mean([unit(row) for row in rows], axis=0)), atol=1e-5)
    alone = CLIPEmbedder("zoo/RN20", **CPU).transform(paths)
    whole = CLIPEmbedder("zoo/RN20", views=[View()], normalize=False, **CPU).transform(paths)
    assert_allclose(whole, alone, atol=1e-6)


def test_all_blocks_of_an_embedder(paths):
    def columns(name, **options):
        return CLIPEmbedder(name, **options, **CPU).transform(paths)

    expected = [
        columns(name, features=features, views=views)
        for name in PAIR
        for features in ("projected", "pooled")
        for views in (None, "both")
    ]
    everything = {"features": "both", "views": "both", "keep_plain": True}
    found = MultiBackboneEmbedder(PAIR, **everything, **CPU).fit_transform(paths)
    assert_allclose(found, np.hstack(expected), atol=1e-5)
    without = MultiBackboneEmbedder(PAIR, keep_plain=True, **CPU).transform(paths)
    assert without.shape[1] == 256  # keep_plain changes nothing without views


@pytest.mark.parametrize(
    "options", [{"precision": "bf16"}, {"device": ["cpu", "cpu"], "batch_size": 2}]
)
def test_precision_and_several_devices(options, paths):
    kinds = {"views": "both", "features": "both", "keep_plain": True}
    expected = CLIPEmbedder("zoo/RN20", **kinds, **CPU).transform(paths)
    found = CLIPEmbedder("zoo/RN20", **kinds, **(CPU | options)).transform(paths)
    assert_allclose(found, expected, atol=0.02 if "precision" in options else 1e-5)
    assert found.dtype == np.float32


@pytest.mark.gpu
def test_cuda_agrees_with_cpu(paths):
    kinds = {"views": "both", "features": "both", "keep_plain": True}
    expected = MultiBackboneEmbedder(PAIR, **kinds, **CPU).transform(paths)
    found = MultiBackboneEmbedder(PAIR, **kinds, device="cuda").transform(paths)
    assert_allclose(found, expected, atol=0.02)


@pytest.mark.slow
def test_compiled(paths):
    kinds = {"views": "mirror", "features": "both"}
    expected = CLIPEmbedder("zoo/ViT-16", **kinds, **CPU).transform(paths)
    found = CLIPEmbedder("zoo/ViT-16", compile=True, **kinds, **CPU).transform(paths)
    assert_allclose(found, expected, atol=1e-3)


def test_an_image_that_cannot_be_read_is_a_row_of_nan(paths):
    kinds = {"views": "crops", "features": "both", "keep_plain": True, "on_error": "nan"}
    embedder = MultiBackboneEmbedder(PAIR, **kinds, **CPU, batch_size=2)
    found = embedder.fit_transform([None, *paths[:2], "nowhere.png"])
    assert np.isnan(found[[0, 3]]).all()
    assert_allclose(found[[1, 2]], embedder.transform(paths[:2]), atol=1e-5)


# Work


@pytest.fixture
def work(monkeypatch):
    """Counts decoded images, resized pictures, and images through image towers."""
    counts = {"decoded": 0, "resized": 0, "passed": 0}

    def count(owner, name, key, amount=lambda *args: 1):
        real = getattr(owner, name)

        def counted(*args, **options):
            counts[key] += amount(*args)
            return real(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    count(_load, "_picture_to_rgb", "decoded")
    count(Image.Image, "resize", "resized")
    count(open_clip.modified_resnet.ModifiedResNet, "stem", "passed", lambda _, x: len(x))
    return counts


@pytest.mark.parametrize(
    ("options", "n_resized", "n_passed"),
    [
        ({}, 1, 1),
        ({"features": "both"}, 1, 1),
        ({"views": "mirror"}, 1, 2),
        ({"views": "both"}, 6, 7),
        ({"views": "both", "features": "both", "keep_plain": True}, 6, 7),
        ({"views": [View((0, 0, 0.5, 1))], "keep_plain": True}, 2, 2),
    ],
)
def test_an_image_is_decoded_once_and_each_view_passed_once(
    options, n_resized, n_passed, paths, work
):
    CLIPEmbedder("zoo/RN20", **options, **CPU).transform(paths)
    n = len(paths)
    assert work == {"decoded": n, "resized": n_resized * n, "passed": n_passed * n}


def test_backbones_of_one_preprocessing_share_resized_views(paths, work):
    MultiBackboneEmbedder(["zoo/RN20", "zoo/DLA"], views="crops", **CPU).transform(paths)
    assert work["resized"] == 6 * len(paths)


# The store


def test_the_key_of_the_image_alone_is_that_of_its_model():
    backbone = Backbone("zoo/RN20")
    options = [
        {"features": features, "views": views}
        for features in ("projected", "pooled")
        for views in (None, "mirror", "crops", "both", [View()], [View((0, 0, 1, 0.5))])
    ]
    keys = [block_key(plan_blocks([backbone], **one)[0], "fp32", "exact") for one in options]
    assert len(set(keys)) == len(keys)
    assert keys[0] == model_key(backbone, "fp32")
    mirror = [View(mirror=True), View()]  # the same mean in another order
    assert block_key(plan_blocks([backbone], views=mirror)[0], "fp32", "exact") == keys[1]


def test_the_store_keeps_blocks_apart(paths, work, tmp_path):
    def embed(**options):
        work["passed"] = 0
        made = CLIPEmbedder("zoo/RN20", cache=tmp_path, **options, **CPU).transform(paths)
        assert_allclose(
            made, CLIPEmbedder("zoo/RN20", **options, **CPU).transform(paths), atol=1e-5
        )
        n_passes_without_store = n_passes(options.get("views"))
        return work["passed"] / len(paths) - n_passes_without_store

    assert embed() == 1
    assert embed() == 0
    assert embed(views="mirror") == 2
    assert embed(views="mirror", keep_plain=True) == 0
    assert embed(features="both") == 1  # pooled features alone are missing
    assert embed(features="pooled") == 0
    assert embed(features="both", views="mirror", keep_plain=True) == 2
    assert embed(features="both", views="both") == 7  # both features in the same passes
    assert embed(features="both", views="both", keep_plain=True) == 0
    assert embed(features="all") == 1
    assert embed(features="all") == 0
    assert len(EmbeddingStore(tmp_path).info()["models"]) == 7


# Names


def test_names_of_columns():
    def blocks(backbones, **options):
        names = MultiBackboneEmbedder(backbones, **options).get_feature_names_out()
        return list(dict.fromkeys(name.rpartition("__")[0] for name in names))

    assert blocks("RN50", views="both") == ["RN50/openai@views"]
    assert blocks("RN50", features="pooled") == ["RN50/openai@pooled"]
    assert blocks("RN50", features="pooled", views="both") == ["RN50/openai@pooled+views"]
    assert blocks(PAIR, features="both", views="crops", keep_plain=True) == [
        f"{name}{ending}" for name in PAIR for ending in ("", "@views", "@pooled", "@pooled+views")
    ]
    # Towers without a projection have one kind of features, which its texts read.
    one_kind = ["timm/resnet18", "ViT-B-16-SigLIP/webli"]
    names = ["timm/resnet18.a1_in1k", "ViT-B-16-SigLIP/webli"]
    for features in ("projected", "pooled", "both"):
        assert blocks(one_kind, features=features) == names
    inner = [f"{name}{ending}" for name in names for ending in ("", "@intermediate")]
    assert blocks(one_kind, features="all") == inner
    assert Backbone(names[0]).intermediate_width == 256
    assert Backbone(one_kind[1]).pooled_width == Backbone(one_kind[1]).width


def test_a_kind_is_what_its_name_says(tmp_path):
    for kind in kinds_of("zoo/RN20"):
        assert parse_kind(kind.name) == kind
        assert kind.width == {"projected": 128, "pooled": 640, "intermediate": 320}[kind.features]
        assert kind.has_text is (kind.features == "projected")
    assert not BlockKind("timm/resnet18.a1_in1k").has_text
    for name in (
        "zoo/RN21",
        "RN50",
        "RN50@pooled",
        "zoo/RN20@other",
        "zoo/RN20@views+pooled",
        "age",
    ):
        assert parse_kind(name) is None
    file = tmp_path / "mine@pooled"
    file.touch()
    assert parse_kind(f"RN50//{file}") == BlockKind(f"RN50//{file}")
    assert parse_kind(f"RN50//{file}@pooled") == BlockKind(f"RN50//{file}", "pooled")


def skip_if_timm_is_old():
    if parse_version(timm.__version__) < parse_version("1.0.22"):
        pytest.skip("this version of timm makes no models without memory")


@pytest.mark.parametrize(
    "name",
    [
        *("RN101", "ViT-L-14", "coca_ViT-B-32", "convnext_base", "ViTamin-S", "EVA02-B-16"),
        *("MobileCLIP-S1", "swin_base_patch4_window7_224", "ViT-SO400M-14-SigLIP"),
        *("vit_relpos_medium_patch16_cls_224", "ViT-H-14-378", "PE-Core-S-16-384"),
    ],
)
def test_widths_of_towers_of_open_clip(name):
    config = open_clip.get_model_config(name)
    if config is None:
        pytest.skip("another version of open_clip")
    if "timm_model_name" in config["vision_cfg"]:
        skip_if_timm_is_old()
    with torch.device("meta"), torch.no_grad():
        tower = _build_vision_tower(config["embed_dim"], config["vision_cfg"]).eval()
        pixels = torch.empty(2, 3, *np.broadcast_to(tower.image_size, 2).tolist())
        place, width = intermediate_layer(SimpleNamespace(is_timm=False, config=config))
        found = SeveralFeatures(tower, name, place)(pixels)
    assert found["intermediate"].shape == (2, width)
    assert found["projected"].shape == (2, config["embed_dim"])
    if projects(config):
        assert found["pooled"].shape == (2, pooled_width(config))


@pytest.mark.skipif(torch.version.cuda is None, reason="this torch was built without CUDA")
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize(
    "name", ["RN50", "ViT-B-32", "coca_ViT-B-32", "convnext_base", "ViT-B-16-SigLIP"]
)
def test_features_are_where_the_tower_is(name, dtype):
    """Fake tensors have a device and no values, so no GPU is needed."""
    skip_if_timm_is_old()
    config = open_clip.get_model_config(name)
    place, _ = intermediate_layer(SimpleNamespace(is_timm=False, config=config))
    with torch.device("meta"):
        tower = _build_vision_tower(config["embed_dim"], config["vision_cfg"]).eval()
    several = SeveralFeatures(tower, name, place)
    with FakeTensorMode(), torch.inference_mode():
        weights = {
            key: torch.empty(
                value.shape,
                device="cuda",
                dtype=dtype if value.is_floating_point() else value.dtype,
            )
            for key, value in [*several.named_parameters(), *several.named_buffers()]
        }
        pixels = torch.empty(2, 3, *np.broadcast_to(tower.image_size, 2), device="cuda")
        pixels = scale_pixels(pixels, (0.5,) * 3, (0.2,) * 3).to(dtype)
        found = functional_call(several, weights, (pixels,))
    assert found.keys() >= {"intermediate", "projected", "pooled"}
    for features in found.values():
        assert features.is_cuda and features.dtype == dtype


@pytest.mark.parametrize(
    "name", ["resnet18", "convnext_tiny", "swin_tiny_patch4_window7_224", "hiera_tiny_224"]
)
def test_widths_of_models_of_timm(name):
    skip_if_timm_is_old()
    with torch.device("meta"), torch.no_grad():
        trunk = timm.create_model(name, num_classes=0).eval()
        pixels = torch.empty(2, *trunk.pretrained_cfg["input_size"])
        place, width = intermediate_layer(SimpleNamespace(is_timm=True, architecture=name))
        found = SeveralFeatures(trunk, name, place)(pixels)
    assert found["intermediate"].shape == (2, width)
    assert found["projected"].shape == (2, trunk.head_hidden_size)


def test_a_tower_of_which_nothing_is_known():
    with pytest.raises(ValueError, match=r"'mine' has projected features only.*class Identity"):
        SeveralFeatures(torch.nn.Identity(), "mine")


# Ensembles


@pytest.fixture(scope="module")
def table(few):
    embedder = MultiBackboneEmbedder(PAIR, features="both", views="mirror", keep_plain=True, **CPU)
    return embedder.set_output(transform="pandas").fit_transform(few[0])


ALL = [kind.name for name in PAIR for kind in kinds_of(name) if kind.features != "intermediate"]


def default_experts(with_text):
    """Names of the default's experts, of blocks with texts."""
    backbones = list(dict.fromkeys(name.removesuffix("@views") for name in with_text))
    of_each = [f"{name}:zero-shot" for name in with_text] + [f"{name}:kernel" for name in backbones]
    return [*of_each, "all:linear-all"]


def test_blocks_are_found(table):
    names = np.asarray(table.columns)
    for blocks in (None, PAIR, ALL, PAIR[::-1]):
        found = find_blocks(blocks, len(names), names)
        assert sorted(block.name for block in found) == sorted(ALL)
        assert [len(block.columns) for block in found] == [block.kind.width for block in found]
    some = table.filter(regex=r"^zoo/RN20__|^zoo/ViT-16@pooled__")
    found = find_blocks(None, some.shape[1], np.asarray(some.columns))
    assert [block.name for block in found] == ["zoo/RN20", "zoo/ViT-16@pooled"]
    assert [block.backbone for block in found] == PAIR
    # An array has no names: all of its blocks are named.
    found = find_blocks(["zoo/RN20", "zoo/ViT-16@pooled"], 288, None)
    assert [block.name for block in found] == ["zoo/RN20", "zoo/ViT-16@pooled"]
    with pytest.raises(ValueError, match=r"zoo/RN20@pooled \(640\), which have 640 columns"):
        find_blocks(["zoo/RN20@pooled"], 128, None)
    with pytest.raises(ValueError, match="blocks names zoo/DLA, but X has columns of zoo/RN20, "):
        find_blocks("zoo/DLA", len(names), names)
    with pytest.raises(ValueError, match="names of blocks must differ"):
        find_blocks(["zoo/RN20@pooled", "zoo/RN20@pooled"], 1280, None)


def test_blocks_are_found_behind_a_column_transformer(few):
    paths, labels = few
    frame = pd.DataFrame({"photo": paths, "price": np.arange(len(paths))})
    embedder = MultiBackboneEmbedder(PAIR, features="both", views="mirror", keep_plain=True, **CPU)
    columns = ColumnTransformer([("image", embedder, "photo")]).set_output(transform="pandas")
    X = columns.fit_transform(frame)
    assert X.columns[0] == "image__zoo/RN20__0"
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(X, labels)
    text = [f"image__{name}{ending}" for name in PAIR for ending in ("", "@views")]
    assert list(clf.expert_names_) == default_experts(text)


def test_pooled_blocks_join_the_head_on_all_and_get_learned_heads_by_name(table, few):
    labels = few[1]

    def experts(X=table, y=labels, **options):
        return list(AdaptiveBackboneEnsemble(random_state=0, **options).fit(X, y).expert_names_)

    with_text = [f"{name}{ending}" for name in PAIR for ending in ("", "@views")]
    auto = AdaptiveBackboneEnsemble(random_state=0).fit(table, labels)
    assert list(auto.expert_names_) == default_experts(with_text)
    widths = [len(one.block.columns) for one in auto.experts_[-3:]]
    assert widths[0] + widths[1] == widths[2] == table.shape[1]
    assert experts(head="zero-shot") == with_text
    assert experts(head=ZeroShotHead("zoo/RN20")) == ["zoo/RN20", "zoo/RN20@views"]
    assert experts(head="linear") == ALL
    pooled = table.filter(like="@pooled__")
    of_each = [f"{name}@pooled:kernel" for name in PAIR]
    assert experts(pooled) == [*of_each, "all:linear-all"]
    one = experts(pooled.filter(like="RN20"))
    assert one == ["zoo/RN20@pooled:kernel", "zoo/RN20@pooled:linear"]
    with pytest.raises(ValueError, match="needs blocks that are embeddings of backbones"):
        experts(pooled, head="residual")
    with pytest.raises(ValueError, match="that can be compared with texts"):
        experts(head=[("text", ZeroShotHead(), "zoo/ViT-16@pooled")])


def test_intermediate_features_have_a_kernel_of_their_own(few):
    paths, labels = few
    embedder = MultiBackboneEmbedder(PAIR, features="all", **CPU).set_output(transform="pandas")
    table = embedder.fit_transform(paths)
    many = AdaptiveBackboneEnsemble(random_state=0).fit(table, labels)
    *_, kernel, last = many.experts_
    assert list(many.expert_names_) == [
        *(f"{name}:zero-shot" for name in PAIR),
        *(f"{name}:kernel" for name in PAIR),
        *("intermediate:kernel", "all:linear-all"),
    ]
    columns = [table.columns[experts.block.columns] for experts in (kernel, last)]
    assert list(columns[0]) == list(table.filter(like="@intermediate"))
    assert len(columns[1]) == table.shape[1]
    assert list(AdaptiveBackboneEnsemble(head="kernel").fit(table, labels).expert_names_) == [
        *PAIR,
        "intermediate",
    ]
    # One row per class cannot say whether these features are worth their distances.
    first = [list(labels).index(label) for label in sorted(set(labels))]
    few_rows = AdaptiveBackboneEnsemble(random_state=0).fit(table.iloc[first], labels[first])
    for expert in few_rows.experts_:
        assert not table.columns[expert.block.columns].str.contains("@intermediate").any()
    few_rows.predict(table)
    # If there are no others they are used, also beside numbers.
    inner = table.filter(like="@intermediate").assign(price=np.arange(len(table)) / len(table))
    for rows, y in ((inner, labels), (inner.iloc[first], labels[first])):
        experts = AdaptiveBackboneEnsemble(random_state=0).fit(rows, y).experts_
        read = np.unique(np.concatenate([expert.block.columns for expert in experts]))
        assert len(read) == inner.shape[1]


def test_without_names_of_classes_one_head_reads_all_features_of_a_backbone(table, few):
    labels, gflops = few[1], list_backbones()["gflops"][PAIR]
    codes, X = np.unique(labels, return_inverse=True)[1], table.add_prefix("image__")
    with pytest.warns(UserWarning, match="does not say what its class is"):
        clf = AdaptiveBackboneEnsemble(random_state=0).fit(X, codes)
    kernels = [f"image__{name}:kernel" for name in PAIR]
    assert list(clf.expert_names_) == [*kernels, "all:linear-all"]
    for (_, head, block), name in zip(clf.experts_, PAIR, strict=False):
        assert all(name in column for column in X.columns[block.columns])
        assert [part.name.removeprefix("image__") for part in block.parts] == [
            one for one in ALL if name in one
        ]
        assert len(head.blocks) == 4
    plain = X[[name for name in X.columns if "views" not in name]]
    with pytest.warns(UserWarning, match="does not say what its class is"):
        clf.fit(plain, codes)
    display = AccuracyCostDisplay.from_estimator(clf, plain, codes)
    assert dict(zip(display.names, display.costs, strict=True)) == dict(gflops)


def test_cost_of_blocks(table, few):
    labels, gflops = few[1], list_backbones()["gflops"]
    plain = table[[name for name in table.columns if "views" not in name]]
    options = {"estimator": LogisticRegression(), "thresholds": 0.5}
    clf = CascadeEnsemble(cost="gflops", order="given", **options).fit(plain, labels)
    assert clf.block_names_ == ["zoo/RN20", "zoo/RN20@pooled", "zoo/ViT-16", "zoo/ViT-16@pooled"]
    assert_allclose(clf.block_costs_, gflops[PAIR].repeat(2))
    with pytest.raises(ValueError, match="cannot know how many views 'zoo/RN20@views' has"):
        CascadeEnsemble(cost="gflops", **options).fit(table, labels)
    cost = {name: i for i, name in enumerate(ALL)}
    clf = CascadeEnsemble(cost=cost, **options).fit(table, labels)
    assert clf.block_names_ == ALL
    selector = BackboneSelector(cost=gflops, max_blocks=1, cv=2, random_state=0)
    assert set(selector.fit(table, labels).selected_blocks_) < set(ALL)
    fitted = AdaptiveBackboneEnsemble(random_state=0).fit(table, labels)
    with pytest.raises(ValueError, match="no entry for expert 'zoo/RN20@views:zero-shot'"):
        AccuracyCostDisplay.from_estimator(fitted, table, labels)


def test_a_cascade_on_images_counts_views(few):
    paths, labels = few
    gflops = list_backbones(views="mirror").loc[PAIR[::-1], "gflops"]
    assert_allclose(gflops, 2 * list_backbones().loc[PAIR[::-1], "gflops"])
    for features, ending in (("projected", "@views"), ("pooled", "@pooled+views")):
        embedder = CLIPEmbedder(views="mirror", features=features, **CPU)
        clf = CascadeClassifier(PAIR, embedder=embedder, thresholds=np.inf, random_state=0)
        clf.fit(paths, labels)
        assert clf.backbones_ == PAIR[::-1]
        assert clf.cascade_.block_names_ == [f"{name}{ending}" for name in PAIR[::-1]]
        assert_allclose(clf.predict_with_cost(paths).cost, gflops.sum())
    for options in ({"features": "both"}, {"views": "mirror", "keep_plain": True}):
        clf = CascadeClassifier(PAIR, embedder=CLIPEmbedder(**options, **CPU))
        with pytest.raises(ValueError, match="embedder gives several blocks for each backbone"):
            clf.fit(paths, labels)


# Pipelines, streams and searches


def test_pipeline(few):
    paths, labels = few
    clf = make_backbone_pipeline(PAIR, views="both", features="both", random_state=0, **CPU)
    clf.fit(paths, labels)
    assert list(clf.expert_names_) == default_experts([f"{name}@views" for name in PAIR])
    assert clf.predict_proba(paths[:3]).shape == (3, 4)


def test_views_in_one_of_fit_and_predict_are_an_error(few):
    paths, labels = few
    plain, viewed = (
        MultiBackboneEmbedder(PAIR, views=views, **CPU).set_output(transform="pandas")
        for views in (None, "mirror")
    )
    for fitted, other in ((plain, viewed), (viewed, plain)):
        clf = AdaptiveBackboneEnsemble(PAIR, random_state=0).fit(
            fitted.fit_transform(paths), labels
        )
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(other.fit_transform(paths))


def test_a_search_over_views(few, tmp_path):
    paths, labels = few
    clf = make_backbone_pipeline(PAIR, cache=tmp_path, head="zero-shot", random_state=0, **CPU)
    views = [None, "mirror", [View(), View((0.1, 0.1, 0.9, 0.9))]]
    grid = {
        "multibackboneembedder__views": views,
        "multibackboneembedder__keep_plain": [False, True],
    }
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(paths, labels)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    kept = EmbeddingStore(tmp_path).info()["models"]
    of_images = [model for model in kept if "texts" not in model]  # which other tests may have read
    assert len(of_images) == len(views) * len(PAIR)


def test_streaming(paths, tmp_path):
    kinds = {"features": "both", "views": "mirror", "keep_plain": True}
    embedder = MultiBackboneEmbedder(PAIR, **kinds, **CPU)
    embedder.embed_to(tmp_path, paths, chunk_size=3)
    X = read_embeddings(tmp_path)
    assert list(X.columns) == list(embedder.get_feature_names_out())
    assert_allclose(X, embedder.transform(paths), atol=1e-5)
    of_one = read_embeddings(tmp_path, backbones="zoo/ViT-16")
    assert_array_equal(of_one, X.filter(like="zoo/ViT-16"))
    with pytest.raises(ValueError, match="embeddings of another call: models was"):
        embedder.set_params(views="crops").embed_to(tmp_path, paths, chunk_size=3)


# What users may write


def test_resolved_views():
    assert resolve_views(None) is None
    assert [n_passes(views) for views in (None, "mirror", "crops", "both")] == [1, 2, 6, 7]
    assert resolve_views("both")[0] == View()
    boxes = [view.box for view in resolve_views("crops")[1:]]
    assert_allclose(boxes, [(x, y, x + 0.8, y + 0.8) for x, y in CORNERS])


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (640, 480)])
def test_a_crop_has_a_pixel(size):
    picture = Image.new("RGB", size)
    assert crop(picture, box_in_pixels(View().box, size)) is picture
    for box in [
        *(view.box for view in resolve_views("crops")),
        (0.99, 0.99, 1, 1),
        (0, 0, 1e-9, 1),
    ]:
        found = crop(picture, box_in_pixels(box, size)).size
        assert all(1 <= side <= whole for side, whole in zip(found, size, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 0, 1),), r"box is four numbers \(left, top, right, bottom\)"),
        (("half",), "box is four numbers"),
        (((0, 0, 1, "1"),), "box is four numbers"),
        (((0, 0, 100, 80),), "0 <= left < right <= 1"),
        (((0.5, 0, 0.5, 1),), "0 <= left < right <= 1"),
        (((0, 0, 1, np.nan),), "0 <= top < bottom <= 1"),
        (((0, 0, 1, 1), "yes"), "mirror is True or False"),
    ],
)
def test_wrong_view(arguments, message):
    with pytest.raises(ValueError, match=message):
        View(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"views": "flip"}, InvalidParameterError, "'views' parameter"),
        ({"views": 2}, InvalidParameterError, "'views' parameter"),
        ({"views": []}, ValueError, "needs one or more skclipens.images.View"),
        ({"views": [(0, 0, 1, 1)]}, ValueError, "needs one or more skclipens.images.View"),
        ({"views": [View(), View()]}, ValueError, "the same view twice"),
        ({"features": "some"}, InvalidParameterError, "'features' parameter"),
        ({"keep_plain": "yes"}, InvalidParameterError, "'keep_plain' parameter"),
    ],
)
def test_wrong_parameter(options, error, message, paths):
    for embedder in (CLIPEmbedder("zoo/RN20"), MultiBackboneEmbedder("zoo")):
        for method in (embedder.set_params(**options).fit, embedder.transform):
            with pytest.raises(error, match=message):
                method(paths)
    if isinstance(options.get("views"), (str, list)):
        with pytest.raises(ValueError, match="views="):
            list_backbones(views=options["views"])
