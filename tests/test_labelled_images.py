"""Labels: the names of ImageNet's classes, class folders, files of labels, and what is wrong with each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from edgeeff.errors import UsageError
from edgeeff.evaluation.classes import Classes, classes_of, imagenet, named
from edgeeff.evaluation.dataset import Dataset, find, find_unlabelled


def test_imagenet_is_the_order_that_everybody_shares() -> None:
    names = imagenet().names
    assert len(names) == len(set(names)) == 1000
    assert list(names) == sorted(names)  # by WordNet id
    # From torchvision's table of categories.
    for index, name in {0: "tench", 1: "goldfish", 281: "tabby", 388: "giant panda", 574: "golf ball"}.items():
        assert names[index].split(" ", 1)[1] == name
    assert names[999] == "n15075141 toilet tissue"


@pytest.mark.parametrize(
    ("label", "index"),
    [
        ("0", 0),
        ("007", 7),
        ("999", 999),
        ("n01440764", 0),
        ("n01440764-tench", 0),
        ("n01440764_tench", 0),
        ("tench", 0),
        ("Tinca tinca", 0),
        ("tench, Tinca tinca", 0),
        ("golden_retriever", 207),
        ("Golden-Retriever", 207),
        ("n02113186", 264),
        ("cardigan welsh corgi", 264),
    ],
)
def test_a_class_goes_by_index_wordnet_id_and_any_of_its_names(label: str, index: int) -> None:
    assert imagenet().index(label) == index


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            "crane",
            r"names several of ImageNet's 1000 classes: 134 \(n02012849 crane\) and 517 \(n03126707 crane\)",
        ),
        ("1000", "1000 is beyond the last of ImageNet's 1000 classes, which is 999"),
        ("golden retreiver", "did you mean 'golden retriever'"),
        ("n99999999", "'n99999999' is none of ImageNet's 1000 classes"),
    ],
)
def test_what_is_no_class_is_a_sentence(label: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        imagenet().index(label)


def test_every_unambiguous_name_leads_to_its_class() -> None:
    known = imagenet().known
    alone = [name for name, found in known.items() if len(found) == 1]
    assert len(alone) > 2700
    assert all(imagenet().index(name) == known[name][0] for name in alone if not name.isdecimal())
    assert {name for name, found in known.items() if len(found) > 1} >= {"crane", "maillot", "cardigan", "missile"}


def test_a_background_class_shifts_names_and_ids() -> None:
    classes = classes_of(1001, None, "f.tflite")
    assert classes is not None
    assert (classes.index("n01440764"), classes.index("tench"), classes.index("0")) == (1, 1, 0)
    assert classes.names[1000] == "n15075141 toilet tissue"


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(root / name)
    return root


def labels(found: Dataset) -> dict[str, int | None]:
    return {example.name: example.label for example in found.examples}


def find_in(root: Path, classes: Classes | None = None, outputs: int = 1000, file: Path | None = None) -> Dataset:
    return find(root, classes or classes_of(outputs, None, "f.tflite"), outputs, file, need_labels=True)


def test_class_folders_of_all_three_kinds(tmp_path: Path) -> None:
    make(tmp_path, "n01440764/a.JPEG", "goldfish/deep/b.png", "2/c.jpg", ".cache/x/d.jpg", "2/._c.jpg", "loose.jpg")
    found = find_in(tmp_path)
    assert labels(found) == {"2/c.jpg": 2, "goldfish/deep/b.png": 1, "n01440764/a.JPEG": 0}
    assert found.classes == 3
    assert found.notes == ("1 image (loose.jpg) beside the class folders left out",)


def test_links_are_followed_and_end(tmp_path: Path) -> None:
    make(tmp_path / "data", "0/a.png")
    make(tmp_path / "elsewhere", "b.png")
    (tmp_path / "data" / "1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path / "data")
    assert labels(find_in(tmp_path / "data")) == {"0/a.png": 0, "1/b.png": 1}


def test_folders_of_another_network(tmp_path: Path) -> None:
    make(tmp_path / "numbers", "0/a.png", "4/b.png")
    assert labels(find_in(tmp_path / "numbers", outputs=10)) == {"0/a.png": 0, "4/b.png": 4}
    make(tmp_path / "words", "cat/a.png", "dog/b.png", "ant/c.png")
    found = find_in(tmp_path / "words", outputs=3)
    assert labels(found) == {"ant/c.png": 0, "cat/a.png": 1, "dog/b.png": 2}
    assert "alphabetical order" in found.notes[0]
    with pytest.raises(UsageError, match="has 3 class folders, and the file has 10 outputs"):
        find_in(tmp_path / "words", outputs=10)
    names = named(["dog", "cat", "bird", "ant"], "mine")
    assert labels(find_in(tmp_path / "words", names, 4)) == {"ant/c.png": 3, "cat/a.png": 1, "dog/b.png": 0}


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,n01440764\nb.jpg,1\n",
        "filename,label\na.jpg,tench\nb.jpg,goldfish\n",
        "a.jpg 0\nb.jpg 1\n",
        "a.jpg\ttench\nb.jpg\tgoldfish\n",
        'ImageId,PredictionString\na,n01440764 111 108 357 422\n"b",n01443537 1 2 3 4 n01443537 5 6 7 8 \n',
        json.dumps({"a.jpg": 0, "b.jpg": "goldfish"}),
        "\ufeffa.jpg,0\r\n\r\n./b.jpg,1\r\n",
    ],
)
@pytest.mark.parametrize("within", [True, False])
def test_files_of_labels(text: str, within: bool, tmp_path: Path) -> None:
    root = make(tmp_path / "images", "a.jpg", "b.jpg")
    file = root / "labels.txt" if within else tmp_path / "val.txt"
    file.write_text(text, "utf-8")
    assert labels(find_in(root, file=None if within else file)) == {"a.jpg": 0, "b.jpg": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no label"),
        ("a.jpg\n", "line 1 has no label: 'a.jpg'"),
        ("a.jpg,0\nb.jpg,nothing\n", "line 2: 'nothing' is none of ImageNet's 1000 classes"),
        ("a.jpg,0\na.jpg,1\n", "line 2 labels a.jpg once more, as another class"),
        ("c.jpg,0\nd.jpg,1\n", "labels 2 images, and none of them is in"),
        ("a.jpg,5\nb.jpg,5\n", "gives all images one class"),
        ("{", "is not valid JSON"),
        ('{"a.jpg": [1]}', "neither text nor a number"),
    ],
)
def test_a_bad_file_of_labels_is_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    root = make(tmp_path / "images", "a.jpg", "b.jpg")
    (root / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        find_in(root)


def test_what_labels_and_images_do_not_share_is_told(tmp_path: Path) -> None:
    root = make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (root / "labels.csv").write_text("a.jpg,0\nb.jpg,1\nz.jpg,3\n")
    found = find_in(root)
    assert labels(found) == {"a.jpg": 0, "b.jpg": 1}
    assert found.notes == (
        "1 image (z.jpg) that labels.csv labels not there",
        "1 image (c.jpg) without a label in labels.csv left out",
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no image"),
        (("a.jpg", "b.jpg"), "the 2 images in .* have no labels"),
        (("n01440764/a.jpg", "n01440764/b.jpg"), "has one class folder, 'n01440764'"),
        (("train/a.jpg", "val/b.jpg"), "class folder .*train: 'train' is none of ImageNet's 1000 classes"),
    ],
)
def test_a_folder_that_cannot_serve_is_one_sentence(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    make(tmp_path, *names)
    with pytest.raises(UsageError, match=message):
        find_in(tmp_path)
    with pytest.raises(UsageError, match="there is no such folder"):
        find_in(tmp_path / "missing")


def test_names_must_be_as_many_as_outputs(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("cat\ndog\n")
    with pytest.raises(UsageError, match="names 2 classes, and f has 10 outputs"):
        classes_of(10, path, "f")
    path.write_text("cat\nCat\n")
    with pytest.raises(UsageError, match="names two classes 'cat': 0 and 1"):
        classes_of(2, path, "f.tflite")


def test_the_digest_follows_the_listing(tmp_path: Path) -> None:
    make(tmp_path, "0/a.png", "1/b.png")
    before = find_in(tmp_path).digest()
    assert find_in(tmp_path).digest() == before
    assert find_unlabelled(tmp_path).digest() != before
    Image.new("RGB", (41, 30), "blue").save(tmp_path / "1/b.png")
    changed = find_in(tmp_path).digest()
    make(tmp_path, "1/c.png")
    assert len({before, changed, find_in(tmp_path).digest()}) == 3
