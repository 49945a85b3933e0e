"""The programs that measure time and memory: that they run on few pictures, and what they say."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from benchmarks import (
    agreement,
    columns,
    doubts,
    doubts_of_mixed_tables,
    doubts_of_pictures,
    doubts_of_tables,
    embedding,
    gpu,
    grid_search,
    hindsight,
    labels,
    missing_pictures,
    near_duplicates,
    out_of_memory,
    paired_tables,
    real_tables,
    scale,
    search,
    shrinkage,
    tables,
    uneven,
    unlabeled,
)
from skclipens.backbones import clear_backbone_cache
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder in which programs find what others have embedded."""
    return str(tmp_path_factory.mktemp("work"))


@pytest.fixture
def on_digits(work, capsys):
    """Runs a program on the digits, and returns what it prints."""

    def run(program, *options, backbones=("zoo/ViT-16",)):
        options = [str(option) for option in options]
        program.main([*options, "--datasets", "digits", "--backbones", *backbones, "--work", work])
        return capsys.readouterr().out

    return run


def test_gpu_program_without_a_gpu(capsys):
    few = ["--backbones", "zoo/ViT-16", "--together", "zoo/ViT-16", "zoo/RN20", "--images", "2"]
    gpu.main(["--device", "cpu", *few, "--batch-size", "1", "--repeats", "1"])
    printed = capsys.readouterr().out
    for size in ("500 x 375", "1600 x 1200", "4000 x 3000"):
        assert f"zoo/ViT-16, {size} | " in printed
        assert f"2 backbones at once, {size} | " in printed
    for way in (gpu.README, gpu.LOADER, gpu.LOOP, gpu.FORWARD, gpu.DECODING, gpu.OURS, "limit"):
        assert printed.count(f"| {way} | ") >= 3
    for setting in ("fp32", "bf16", "one thread that decodes", "cpu"):
        assert f"| {setting} | " in printed


def test_gpu_program_says_that_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu.main([])


def test_embeddings_decoded_on_the_device_agree(tmp_path):
    files = embedding.make_pictures(tmp_path, 6)
    one = gpu.Measured(["zoo/RN20"], "cpu", 4)
    ours = one.embedder.transform(files)
    assert gpu._distance(ours, one.decoded_on_gpu(files)) < 1e-3


def test_searches_over_images_and_over_a_table_are_the_same(monkeypatch):
    monkeypatch.setattr(grid_search, "GRID", {"head": ["zero-shot"], "router": ["uniform"]})
    emoji = load_emoji(min_class_size=60)
    searches = grid_search.Searches(emoji, FewShotSplit(2, 1, random_state=0))
    forwards = grid_search.Forwards(grid_search.BACKBONES)
    searches.ready()
    n_distinct = len({Path(file).read_bytes() for file in emoji.filenames})
    assert forwards.during(searches.cold) == n_distinct
    assert forwards.during(searches.warm) == 0
    clear_backbone_cache()  # of models with counters
    for way in (grid_search.COLD, grid_search.WARM):
        assert_allclose(searches.scores[way], searches.scores[grid_search.READY])


def test_what_is_slower_than_asked_is_named():
    seconds = {embedding.README: 0.2, embedding.OURS: 0.1}
    table, beyond = embedding.report(seconds, {}, 0.09, {embedding.README: 3, embedding.LIMIT: 0.8})
    assert beyond == ["2.00 × as fast as open_clip's README: one image at a time, asked 3"]
    assert "| limit | 11.1 | 0.90 | 0.8 |  |" in table


def test_program_of_labels(on_digits):
    printed = on_digits(labels, "none", "--draws", 2)
    assert "### digits" in printed
    assert "| ours minus max-softmax, LogisticRegression | " in printed
    assert "| rejected, of known classes | " in printed


def test_program_of_unlabelled_pictures(on_digits):
    printed = on_digits(unlabeled, "--shots", 1, "--draws", 1)
    for table in ("All classes, new", "All classes, unlabelled", "Few classes, new"):
        assert f"## {table}" in printed
    assert "| mean of the sets | " in printed


def test_rows_of_a_table_get_pictures_of_their_class():
    rng = np.random.default_rng(0)
    y, labels = np.repeat(["a", "b"], 30), np.repeat(["cat", "dog", "fish"], [40, 50, 12])
    train, test = paired_tables.split(y, 4, 20, 0)
    assert np.unique(y[train], return_counts=True)[1].tolist() == [4, 4] and len(test) == 20
    assert not np.isin(train, test).any()
    rows, of_class = paired_tables.paired(y, train, labels, 4, rng)
    assert sorted(of_class) == ["cat", "dog"]
    assert (labels[rows] == of_class[y]).all()
    learned, others = rows[train], np.delete(rows, train)
    assert len(np.unique(learned)) == len(learned) and not np.isin(learned, others).any()


def test_program_of_paired_tables(on_digits, tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(80, 2))).assign(word=["x", None] * 40)
    rows["label"] = np.repeat([1, 2], 40)
    rows.to_csv(tmp_path / "few.csv", header=False, index=False)
    options = ["--tables", "few", "--shots", 2, 50, "--draws", 1]
    printed = on_digits(paired_tables, tmp_path, *options)
    assert "| set, labelled pictures per class | 2 |\n" in printed  # no class has 50 rows
    for other in paired_tables.OTHERS:
        assert f"### Less {other}" in printed


@pytest.mark.slow
def test_program_of_tables(on_digits):
    printed = on_digits(tables, "--shots", 1, "--draws", 1)
    for kind in tables.KINDS:
        assert f"## {kind.capitalize()}" in printed
    assert f"### Less {tables.FOREST}" in printed
    assert printed.count("### Log-loss") == len(tables.KINDS)


@pytest.mark.slow
def test_other_choices_of_what_an_ensemble_does_with_numbers(on_digits):
    printed = on_digits(tables, "--shots", 2, "--draws", 1, "--choices")
    for choice in tables.CHOICES:
        assert f"### Less {choice}" in printed


@pytest.mark.slow
def test_rows_that_lack_a_picture(on_digits):
    printed = on_digits(missing_pictures, "--shots", 2, "--draws", 1)
    for other in missing_pictures.OTHERS:
        assert printed.count(f"### Less {other}") == len(missing_pictures.KINDS)


def random_picture(path, rng):
    Image.fromarray(rng.integers(256, size=(20, 30, 3), dtype=np.uint8)).save(path)


def test_program_of_real_tables(capsys, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [f"{i % 4 + 1} 2 {900 + 10 * i} 90001 {100_000 * i}" for i in range(1, 13)]
    (tmp_path / "HousesInfo.txt").write_text("\n".join(rows))
    for folder in ("images", "sprites"):
        (tmp_path / folder).mkdir()
    for i in range(1, 13):
        for room in real_tables.ROOMS:
            random_picture(tmp_path / f"{i}_{room}.jpg", rng)
        random_picture(tmp_path / f"sprites/{i:03}MS.png", rng)
        random_picture(tmp_path / f"images/{i:03}{'other' if i == 12 else ''}.png", rng)
    creatures = [
        {"id": i, "type": ["Fire" if i % 2 else "Water"], "base": {"HP": i, "Speed": -i}}
        for i in range(1, 13)
    ]
    (tmp_path / "pokedex.json").write_text(json.dumps(creatures))
    monkeypatch.setattr(real_tables, "MIN_OF_TYPE", 5)
    options = [str(tmp_path), "--backbones", "zoo/ViT-16", "--shots", "2", "--draws", "1"]
    for name, read in real_tables.READERS.items():
        real_tables.main([name, *options])
        printed = capsys.readouterr().out
        kinds = read(tmp_path).kinds
        assert all(f"## {kind.capitalize()}" in printed for kind in kinds)
        assert printed.count(f"\n| {name} | ") == len(kinds) * len(tables.OTHERS)
    assert "11 creatures" in printed and "Fire, Water" in printed


@pytest.mark.slow
def test_program_of_doubts(on_digits):
    lines = on_digits(doubts, "--draws", 1, backbones=["zoo/ViT-16", "zoo/RN20"]).splitlines()
    shares = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines}
    assert all(shares[case] == ["0", "0", "0 |"] for case in doubts.RIGHT)
    # Ten rows of fit, one per class, are enough to compare with.
    assert shares["predict, blocks in another order"] == ["100", "100", "100 |"]
    assert shares["score, a fifth of the rows are rows of fit"] == ["0", "100", "100 |"]
    assert "Of 30 right uses, 0.0% raise a warning; limit 2.0%." in lines


def test_program_of_doubts_of_pictures(capsys, monkeypatch):
    monkeypatch.setattr(doubts_of_pictures, "N_PICTURES", (20,))
    doubts_of_pictures.main(["--datasets", "emoji", "--draws", "1"])
    printed = capsys.readouterr().out
    shares = dict(re.findall(r"^\| (.+) \| (\d+) \|$", printed, re.MULTILINE))
    unseen = ("red and blue exchanged", "near infrared as a fourth channel")  # as icons are white
    assert {case for case in doubts_of_pictures.MISTAKES if shares[case] == "0"} == set(unseen)
    assert "Of 12 right uses, 0.0% raise a warning; limit 2.0%." in printed


@pytest.mark.slow
def test_program_of_doubts_of_tables(capsys, monkeypatch):
    monkeypatch.setattr(doubts_of_tables, "N_ROWS", (100,))
    doubts_of_tables.main(["--tables", "iris", "--draws", "1"])
    printed = capsys.readouterr().out
    shares = dict(re.findall(r"^\| (.+) \| (\d+) \|$", printed, re.MULTILINE))
    right = [*doubts_of_tables.RIGHT, *doubts_of_tables.ADDED]
    assert {case for case in right if shares[case] != "0"} <= {"weak signals"}
    noticed = "row numbers, of some rows", "labels in another order", "predict, rows not scaled"
    assert [shares[case] for case in noticed] == ["100"] * 3
    assert "| an index | 0.0 | 0.0 |" in printed
    assert f"Of {len(right)} right uses, " in printed


def test_program_of_doubts_of_mixed_tables(on_digits, monkeypatch):
    monkeypatch.setattr(doubts_of_mixed_tables, "N_ROWS", (300,))
    printed = on_digits(doubts_of_mixed_tables, "--draws", 1)
    shares = dict(re.findall(r"^\| (.+) \| (\d+) \|$", printed, re.MULTILINE))
    assert not {case for case in doubts_of_mixed_tables.RIGHT if shares[case] != "0"}
    assert not {case for case in doubts_of_mixed_tables.MISTAKES if shares[case] == "0"}
    assert "| one picture in many rows | 0.0 | 25.0 |" in printed
    assert "Of 13 right uses, 0.0% raise a warning; limit 2.0%." in printed


def test_the_page_of_hindsight_is_of_the_committed_results(capsys):
    root = Path(__file__).parents[1]
    page = (root / "docs/results/hindsight.md").read_text("utf-8").splitlines()
    command = next(line for line in page if "python -m benchmarks.hindsight" in line)
    hindsight.main([str(root / folder) for folder in command.split()[3:]])
    printed = capsys.readouterr().out.splitlines()
    tables = [[line for line in text if line.startswith("|")] for text in (page, printed)]
    assert tables[0] == tables[1]
    text, head = " ".join(page), []
    for cells in ([cell.strip() for cell in row.split("|")[1:-1]] for row in tables[0]):
        head = cells if cells[0].startswith("chosen") else head
        if cells[0] == "one for all":
            gains = [cells[head.index(shots)].split()[0] for shots in ("1", "4", "16")]
            first, second, third = (gain.removeprefix("+") for gain in gains)
            assert f"{first}, {second} and {third}" in text


def test_program_of_hindsight(capsys):
    folder = Path(__file__).parents[1] / "docs/results/few-classes"
    hindsight.main([str(folder)])
    rows = re.findall(r"^\| ([a-z ,]+) \| (.+) \|$", capsys.readouterr().out, re.MULTILINE)
    found = {way: [float(one.split()[0]) for one in cells.split(" | ")] for way, cells in rows}
    assert list(found) == list(hindsight.WAYS)
    published = pd.read_csv(folder / "differences.csv", dtype={"shots": str})
    published = published[published["other"] == "best single backbone, any head"]
    means = 100 * published.groupby("shots", sort=False)["difference"].mean()
    assert_allclose(found["of each set, with hindsight"], means, atol=0.06)
    with_hindsight, *others = found.values()
    assert all(np.greater(other, np.subtract(with_hindsight, 0.06)).all() for other in others)


def test_program_of_columns(on_digits):
    few = "--shots", 2, "--draws", 1, "--no-rival"
    printed = on_digits(columns, "--ways", "all", "--than", "pooled", *few)
    first, other = "image, pooled features too", "image, pooled and intermediate features too"
    assert re.findall("^## (.+)", printed, re.M) == [
        f"{other.capitalize()}, minus the {first}",
        "What it costs",
    ]
    costs = dict(re.findall(r"^\| (image.+?) \| .+? \| (\d+) \|", printed, re.M))
    assert costs == {first: "288", other: "448"}


def test_program_of_shrinkage(on_digits):
    """With many rows and few columns, linear heads shrink less, and know more for it."""
    printed = on_digits(shrinkage, "--draws", 1, "--shots", 2, 50)
    assert re.findall(r"## (.+) \((?:128|288) columns\)", printed) == [
        "Image embeddings alone",
        "Pooled features too",
    ]
    few, many = re.findall(r"\| digits \| (20; .+) \| (500; .+) \|", printed)[0]
    losses = [[float(one) for one in cell.split("; ")[1:]] for cell in (few, many)]
    assert losses[0][0] == losses[0][1] and losses[1][0] < losses[1][1]


@pytest.mark.slow
def test_program_of_agreement(on_digits):
    """Prompts that mean nothing cost less where backbones disagree on them."""
    options, backbones = ("--draws", 6, "--shots", 1, "--classes", 3), ["zoo/ViT-16", "zoo/RN20"]
    printed = on_digits(agreement, *options, backbones=[*backbones, "zoo/DLA"])
    for names in (agreement.OWN, agreement.NOTHING):
        assert f"## 3 classes, {names}" in printed
    gains = [float(one) for one in re.findall(r"\| digits \| ([-+][\d.]+) \[", printed)]
    assert len(gains) == 4 and gains[2] > 0


@pytest.mark.slow
def test_program_of_near_duplicates(on_digits):
    """Pictures that are there again, brighter, cost nothing where groups are found."""
    told, scores = on_digits(near_duplicates, "--shots", 8, "--draws", 1).split("Log-loss")
    name = near_duplicates.BRIGHTENED
    noticed = re.search(rf"\| 8 \| {name} \| (\d+) \| \d+ \| (\d+) \|", told)
    assert int(noticed[1]) == 100 and int(noticed[2]) > 80
    assert re.search(rf"\| 8 \| {near_duplicates.NONE} \| 0 \| 0 \|", told)
    assert re.search(rf"\| {near_duplicates.MIRRORED} \| .* \| 100 \(\d+\) \|", scores)
    losses = re.search(rf"\| 8 \| {name} \| ([\d.]+) \| ([\d.]+) \(-.+\) \| ([\d.]+)", scores)
    assert float(losses[1]) > float(losses[2])


@pytest.mark.parametrize(
    ("given", "systems"),
    [
        ([], [uneven.DEFAULT, uneven.WITHOUT, uneven.LOGISTIC]),
        (["--heads"], [uneven.DEFAULT, *uneven.POOLS]),
        (["--balanced"], [uneven.DEFAULT, *uneven.POWERS, uneven.LOGISTIC]),
    ],
)
def test_program_of_uneven_classes(on_digits, given, systems):
    printed = on_digits(uneven, "--draws", 1, "--rows", 60, *given)
    for case in (uneven.COME, uneven.TAIL, uneven.RARE):
        assert f"## {case.capitalize()}" in printed
    found = re.findall(r"\| 60 \| (.+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+)", printed)
    assert [system for system, *_ in found] == 3 * systems
    accuracy = {
        case: float(one[1]) for case, one in zip("ctr", found[:: len(systems)], strict=True)
    }
    assert accuracy["c"] > 30 and accuracy["r"] > (60 if "--balanced" in given else 80)


def test_rows_that_are_the_same_in_two_classes():
    X = np.array([[1.0, 2], [3, 4], [1, 2], [3, 4], [1, 2], [5, 6]])
    found = doubts.are_of_one_class(X, np.array([0, 1, 1, 1, 0, 2]))
    assert found.tolist() == [False, True, False, True, False, True]


def test_program_of_pictures_found_by_words(on_digits):
    backbones = ["zoo/ViT-16", "zoo/RN20"]
    printed = on_digits(search, backbones=backbones)
    row = next(line for line in printed.splitlines() if line.startswith("| digits | "))
    one, other, _, together = map(float, row.split(" | ")[1:5])
    difference = float(row.split(" | ")[5].split()[0])
    assert difference == pytest.approx(together - max(one, other), abs=0.11)
    assert "`zoo/ViT-16`" in on_digits(search, "--chosen", "zoo/ViT-16", backbones=backbones)


@pytest.mark.parametrize(
    "program",
    [
        agreement,
        columns,
        doubts,
        doubts_of_mixed_tables,
        doubts_of_pictures,
        near_duplicates,
        search,
        shrinkage,
        tables,
        unlabeled,
    ],
)
def test_programs_say_that_no_set_is_available(program, tmp_path):
    with pytest.raises(SystemExit, match="None of the sets is available"):
        program.main(["--datasets", "cifar10", "--data-home", str(tmp_path)])


def test_scale_names_fits_that_take_too_long_and_growth_that_is_too_steep(capsys):
    found = {
        (1_600, 32, 5): ([1.0, 1.0], [0.9, 0.5], [4.0, 4.0], 10.0, 5.0),
        (6_400, 32, 5): ([9.0, 9.0], [1.0, 10.0], None, 20.0, 5.0),
    }
    assert scale.report("rows", found) == ["fit of 1600 rows, 32 classes, 5 blocks: 2.00 × LR"]
    assert scale.report_exponent(found) == ["fit: time grows as n^1.58"]
    printed = capsys.readouterr().out
    assert "| 4.00 | 0.25 |" in printed and "| not measured | not measured |" in printed
    assert "n^1.58; limit n^1.1" in printed


def test_out_of_memory_names_what_is_beyond_its_limit(capsys):
    steep = [[100, 1.0, 1.0, 0.1, 0.1, 1000], [200, 4.0, 4.0, 0.2, 0.2, 2000]]
    flat = [[100, 1.0, 1.0, 0.1, 0.1, 1000], [200, 1.5, 1.5, 0.2, 0.2, 1000]]
    found = {out_of_memory.MAP: flat, out_of_memory.ENSEMBLE: steep}
    beyond = out_of_memory.report(found, 1.0, {"one": (1e-6, 1.0), "other": (0.1, 0.5)})
    assert beyond == [
        "ensemble, Parquet, memory: 12511.4 GiB",
        "ensemble, Parquet, fit grows as n^2.00",
        "other: 1.0e-01",
    ]
    assert "5.00 ms of CPU to fit.\nThat is 0.005 of" in capsys.readouterr().out
