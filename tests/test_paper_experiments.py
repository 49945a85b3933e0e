"""The further experiments of the paper's harness, on real pictures through the zoo."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter
from sklearn.metrics import average_precision_score

from benchmarks.paper import (
    _ablation,
    _cascade,
    _retrieval,
    _robustness,
    _shift,
    _systems,
    _transfer,
)
from benchmarks.paper._embedding import PLAIN, Columns, blocks_of, embed, kept
from benchmarks.paper._experiments import Draws, code_of, few_shot_draws, run_draws, table
from benchmarks.paper._perturbations import LEVELS, PERTURBATIONS, perturb
from benchmarks.paper._sets import ImageSet
from skclipens import AdaptiveBackboneEnsemble
from skclipens.datasets import load_emoji
from skclipens.heads import _base_discriminant, _temperature

pytestmark = pytest.mark.usefixtures("short_training")

BACKBONES = ["zoo/RegNet", "zoo/ViT-16"]
CLASSES = ["bird", "fruit", "clothing", "mammal"]


@pytest.fixture(scope="module")
def pictures():
    frame = load_emoji().frame
    frame = frame[frame["label"].isin(CLASSES)].groupby("label").head(14)
    return ImageSet("pictures", frame["path"].tolist(), frame["label"].to_numpy(str))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_grows_with_its_strength(name, pictures):
    images = [np.asarray(Image.open(p).convert("RGB")) for p in pictures.images[::6]]
    versions = [perturb(images, name, level, random_state=3) for level in LEVELS]
    change = [
        np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(images, one)])
        for one in versions
    ]
    assert all(a.shape == b.shape and b.dtype == np.uint8 for a, b in zip(images, versions[0]))
    assert change[0] > 0 and change[-1] > 1.5 * change[0]
    again = perturb(images, name, LEVELS[-1], random_state=3)
    assert all(np.array_equal(a, b) for a, b in zip(versions[-1], again))


def test_a_perturbation_does_not_touch_the_global_generator(pictures):
    import torch

    before = torch.random.get_rng_state()
    for name in PERTURBATIONS:
        perturb(pictures.images[:1], name, 3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_perturbations_take_oblong_and_odd_pictures():
    picture = np.random.default_rng(0).integers(0, 256, (37, 90, 3), dtype=np.uint8)
    for name in PERTURBATIONS:
        assert perturb([picture], name, 5)[0].shape == picture.shape


def test_a_plain_picture_stays_plain_when_it_is_moved():
    picture = np.full((64, 64, 3), 200, np.uint8)
    for name in ("rotation", "perspective", "elastic"):
        assert np.array_equal(perturb([picture], name, 5)[0], picture), name


def test_unknown_perturbations_are_named():
    with pytest.raises(ValueError, match=r"'fog'.*gaussian_noise"):
        perturb([], "fog", 1)


def test_what_is_kept_is_not_made_twice(tmp_path):
    made = []

    def make():
        made.append(1)
        return np.arange(3)

    for _ in range(2):
        assert kept(tmp_path / "x.npy", make).tolist() == [0, 1, 2]
    assert len(made) == 1 and [file.name for file in tmp_path.iterdir()] == ["x.npy"]


def test_embeddings_depend_on_the_set_and_the_backbones(pictures, tmp_path):
    X = embed(pictures, BACKBONES, tmp_path)
    assert X.shape == (len(pictures.y), 256)
    assert len(list(tmp_path.glob("embeddings/pictures-*/X.npy"))) == 1
    assert np.array_equal(embed(pictures, BACKBONES, tmp_path), X)
    alone = embed(pictures, BACKBONES[1:], tmp_path)
    np.testing.assert_allclose(alone, X[:, blocks_of(BACKBONES)["zoo/ViT-16"]], atol=1e-3)
    assert len(list(tmp_path.glob("embeddings/pictures-*/X.npy"))) == 2


def test_finished_draws_are_not_run_again(tmp_path):
    run = []

    def run_draw(draw, train, test):
        if draw == 1 and not run.count("mended"):
            raise RuntimeError("killed")
        run.append(draw)
        yield {"system": "a", "accuracy": draw / 2}

    draws = [([0], [1])] * 3
    with pytest.raises(RuntimeError, match="killed"):
        run_draws(run_draw, draws, tmp_path)
    assert run == [0]
    run.append("mended")
    frame = run_draws(run_draw, draws, tmp_path)
    assert run == [0, "mended", 1, 2]
    assert frame["accuracy"].tolist() == [0.0, 0.5, 1.0]


def test_draws_keep_to_the_pools_of_the_publisher():
    rows, y = np.arange(40), np.array(["a", "b"] * 20)
    split = ImageSet("split", list(rows), y, train=rows[:24], test=rows[24:])
    for train, test in few_shot_draws(split, 3, 2, 0):
        assert len(train) == 6 and max(train) < 24
        assert np.array_equal(test, rows[24:])


def test_draws_of_few_classes_have_the_same_ones_for_any_number_of_shots():
    rows, y = np.arange(60), np.array(list("abcdef") * 10)
    split = ImageSet("split", list(rows), y, train=rows[:36], test=rows[36:])
    drawn = [few_shot_draws(split, k, 4, 0, 3) for k in (1, 3)]
    for (one, test), (three, again) in zip(*drawn, strict=True):
        assert set(one) <= set(three) and len(one) == 3 and len(three) == 9
        assert set(y[one]) == set(y[three]) == set(y[test])
        assert np.array_equal(test, again) and len(test) == 12
    assert len({frozenset(y[train]) for train, _ in drawn[0]}) > 1
    for few, all_of_them in zip(few_shot_draws(split, 2, 2, 0, 6), few_shot_draws(split, 2, 2, 0)):
        np.testing.assert_equal(few, all_of_them)


def test_robustness(pictures, work):
    chosen = {"perturbations": ("gaussian_blur", "occlusion"), "max_test": 16, "shots": 4}
    frame = _robustness.run(pictures, BACKBONES, Draws(work, 2), **chosen)
    assert set(frame.groupby(["draw", "system"]).size()) == {1 + 2 * 5}
    assert frame["accuracy"].between(0, 1).all()
    zero_shot = frame[frame["system"].str.endswith("zero-shot")]
    assert zero_shot.groupby(["system", "perturbation", "level"])["accuracy"].nunique().max() == 1
    assert len(list(work.glob("perturbed/gaussian_blur-*.npy"))) == 1
    again = _robustness.run(pictures, BACKBONES, Draws(work, 2), **chosen)
    assert again.equals(frame)
    assert f"| {_robustness.DEFAULT} |" in _robustness.report(frame)


def test_ablation(pictures, work):
    alone = "one kernel on all alone"
    variants = (_ablation.DEFAULT, _ablation.FORMER, alone)
    frame = _ablation.run(pictures, BACKBONES, Draws(work, 2), shots=(1, 4), variants=variants)
    systems = [_ablation.DEFAULT, "best single", "oracle", _ablation.FORMER, alone]
    assert frame["system"].unique().tolist() == systems
    by_system = frame.pivot(index=["shots", "draw"], columns="system", values="accuracy")
    assert len(by_system) == 4
    assert (by_system["oracle"] >= by_system["best single"]).all()
    text = _ablation.report(frame)
    assert f"| {alone} |" in text and "| 1 shots | 4 shots | mean |" in text

    def row(gaps):
        cells = (100 * gaps).groupby("shots").agg(["mean", "sem"]).to_numpy()
        return " | ".join(f"{mean:+.2f} ± {error:.2f}" for mean, error in cells)

    default = by_system[_ablation.DEFAULT]
    assert f"| {alone} | {row(by_system[alone] - default)} |" in text
    assert f"| new minus old | {row(default - by_system[_ablation.FORMER])} |" in text
    assert "nan" not in _ablation.report(frame[frame["draw"] == 0])


def test_ablation_on_views(pictures, work):
    options = {"shots": (2,), "variants": (_ablation.DEFAULT,)}
    plain, views = (
        _ablation.run(pictures, BACKBONES, Draws(work, 1), columns=columns, **options)
        for columns in (PLAIN, Columns("mirror", "both"))
    )
    assert plain["system"].equals(views["system"])
    assert not plain["accuracy"].equals(views["accuracy"])


def test_shift(pictures, work):
    outlines = [
        Image.open(one).convert("L").filter(ImageFilter.FIND_EDGES) for one in pictures.images
    ]
    n = len(outlines)
    both = ImageSet(
        "drawings-to-outlines",
        [*pictures.images, *(one.convert("RGB") for one in outlines)],
        np.tile(pictures.y, 2),
        train=np.arange(n),
        test=np.arange(n, 2 * n),
    )
    frames = [
        _shift.run(one, BACKBONES, Draws(work, 2), shots=(1, 4), columns=PLAIN)
        for one in (both, pictures)
    ]
    found = frames[0].pivot(index=["shots", "draw"], columns="system", values="accuracy")
    prompts = AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", router="uniform")
    X = embed(both, BACKBONES, work)
    train, test = few_shot_draws(both, 4, 2, 0)[1]
    alike = AdaptiveBackboneEnsemble(BACKBONES, out_of_distribution="ignore", random_state=1)
    alike.fit(X[train], both.y[train])
    assert found.loc[(4, 1), _shift.IGNORED] == alike.score(X[test], both.y[test])
    prompts.fit(X[train], both.y[train])
    assert found.loc[(4, 1), _shift.PROMPTS] == pytest.approx(prompts.score(X[test], both.y[test]))
    assert found[_shift.SHARE].between(0, 1).all()
    alone = found[_shift.SHARE] == 0
    assert (found[_shift.DEFAULT] == found[_shift.IGNORED])[alone].all()
    text = _shift.report(pd.concat(frames))
    gain = 100 * (found[_shift.DEFAULT] - found[_shift.IGNORED]).groupby("shots").mean()
    assert f"**Other styles**: {gain[1]:+.2f}, {gain[4]:+.2f} points at 1, 4 shots" in text
    assert "## The same style: mean over 1 sets" in text and "nan" not in text


def test_every_variant_of_the_ablation_can_be_fitted(pictures, work):
    X, y = embed(pictures, BACKBONES, work)[::4], pictures.y[::4]
    ensembles = {
        name: _ablation._fit(name, X, y, BACKBONES, {"random_state": 0})
        for name in _ablation.VARIANTS
    }
    default = ensembles[_ablation.DEFAULT]
    assert {name.split(":")[1] for name in default.expert_names_} == set(_ablation._POOL)
    kernels = [e for e in default.experts_ if e.name.endswith(":kernel")]
    assert [one.block.name for one in kernels] == BACKBONES
    assert all(len(one.head.text_heads_) == 1 for one in kernels)


def test_variants_are_named_by_how_they_begin():
    names = _ablation.beginning_with(["one shot", "features"])
    assert names[0] == _ablation.DEFAULT
    assert {name.split(":")[0] for name in names[1:]} == {"one shot", "features"}
    with pytest.raises(SystemExit, match="begins with no such"):
        _ablation.beginning_with(["no such"])


def test_one_shot_constants_are_those_of_the_fit_alone(pictures, work):
    rows = np.concatenate([np.flatnonzero(pictures.y == name)[:1] for name in CLASSES])
    X, y = embed(pictures, BACKBONES, work)[rows], pictures.y[rows]
    before = [dict(vars(module)) for module in (_base_discriminant, _temperature)]
    with _systems.one_shot(_systems.FORMER_ONE_SHOT):
        former = _systems.make(_systems.DEFAULT, _systems.FORMER, BACKBONES).fit(X, y)
    assert [dict(vars(module)) for module in (_base_discriminant, _temperature)] == before
    judged = [expert.name for expert, known in zip(former.experts_, former.validated_) if known]
    assert judged == [f"{name}:residual" for name in BACKBONES]
    spread = former.transform(X).reshape(len(X), 3, -1)[:, 2].std(axis=1).mean()
    assert spread == pytest.approx(0.3, rel=1e-3)  # whatever the others know
    same = _ablation._fit("one shot: former constants", X, y, BACKBONES, {})
    default = _ablation._fit("default", X, y, BACKBONES, {})
    coefs = [
        next(one.head.coef_ for one in clf.experts_ if one.name == "all:linear-all")
        for clf in (former, same, default)
    ]
    np.testing.assert_array_equal(coefs[0], coefs[1])
    assert not np.allclose(coefs[0], coefs[2], rtol=0.1)


def test_cascade(pictures, work):
    frame = _cascade.run(pictures, BACKBONES, Draws(work, 2), shots=4)
    figure, _ = _cascade.draw(frame)
    assert len(figure.axes[0].lines) == 4
    full, cascade = (frame[frame["kind"] == kind] for kind in ("full", "cascade"))
    assert (full["cost"] == full["total_cost"]).all()
    assert (cascade["cost"] <= cascade["total_cost"] * (1 + 1e-9)).all()
    assert (cascade["cost"] >= cascade["total_cost"] * 0.4).all()  # zoo/RegNet costs 41 %
    first = frame[(frame["kind"] == "prefix") & (frame["order"] == "cost")]
    assert set(first["backbones"]) == {"zoo/RegNet"}
    # A cheapest prefix of zero-shot heads is that head alone.
    plain = first[first["system"] == "zero-shot heads, logit average"].set_index("draw")
    alone = frame[(frame["system"] == _cascade.ZERO_SHOT) & (frame["setting"] == "zoo/RegNet")]
    assert plain["accuracy"].equals(alone.set_index("draw")["accuracy"])
    assert "points lost at" in _cascade.report(frame)


def test_transfer(pictures, work):
    frame = _transfer.run(pictures, BACKBONES, Draws(work, 2), shots=4)
    accuracy = frame.set_index(["change", "draw", "system", "training"])["accuracy"]
    for change in ("unseen classes", "other prompts"):
        for draw in (0, 1):
            found = accuracy.sort_index()[change, draw]
            assert found["oracle"].max() >= found["best single backbone"].max()
    assert "Moved router minus" in _transfer.report(frame)


def test_a_moved_router_keeps_what_it_learned(pictures, work):
    X, y = embed(pictures, BACKBONES, work), pictures.y
    first, second = _transfer.halves(y, 0)
    assert sorted([*first, *second]) == sorted(CLASSES)
    on_first = np.isin(y, first)
    clf = _transfer._fit("static", X[on_first], y[on_first], BACKBONES, None, None, 0)
    weights, temperatures = clf.routing_weights(X[:1]), clf.temperatures_.copy()
    before = [head.text_features_.copy() for _, head, _ in clf.experts_]
    _transfer.move(clf, first, pictures, _transfer.OTHER_TEMPLATES)
    assert not any(np.allclose(a, e.head.text_features_) for a, e in zip(before, clf.experts_))
    _transfer.move(clf, second, pictures)
    assert clf.classes_.tolist() == sorted(second)
    assert np.array_equal(clf.temperatures_, temperatures)
    assert np.array_equal(clf.routing_weights(X[:1]), weights)


def test_retrieval(pictures, work):
    frame = _retrieval.run(pictures, BACKBONES, Draws(work, 2), shots=4)
    assert frame["task"].nunique() == 5
    assert (frame["recall@1"] <= frame["recall@5"]).all()
    assert (frame["recall@5"] <= frame["recall@10"]).all()
    # An image of many classes is easier to find than by chance.
    assert frame.groupby("task")["mAP"].mean().min() > 1 / len(CLASSES)
    assert "| NLC (paper) |" in _retrieval.report(frame)


def test_retrieval_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    similarity, relevant = rng.random((5, 30)), rng.random((5, 30)) < 0.2
    relevant[0] = False  # nothing to find: the query does not count
    relevant[1:, 0] = True
    found = _retrieval.scores(similarity, relevant)
    expected = average_precision_score(relevant[1:].T, similarity[1:].T, average="macro")
    assert found["mAP"] == pytest.approx(expected)
    best = similarity[1:].argmax(axis=1)
    assert found["recall@1"] == relevant[np.arange(1, 5), best].mean()


def test_tables_average_within_a_draw_first():
    frame = pd.DataFrame({"s": "a", "k": 1, "draw": [0, 0, 1, 1], "accuracy": [0.1, 0.3, 0.4, 0.4]})
    assert table(frame, "s", "k").endswith("| a | 30.0 ± 14.1 |")


def test_other_code_is_told_from_other_comments_and_docstrings():
    code = 'class A:\n    """This."""\n\n    def b(self, c):\n        return c + 1\n'
    same = 'class A:\n    """Other."""\n    def b(self, c):  # as\n        return c + 1\n'
    assert code_of(code) == code_of(same) != code_of(same.replace("+", "-"))
    assert code_of('"""Of a module."""\n"text"') != code_of('"""Of a module."""')
