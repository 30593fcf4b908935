"""benchmarks/against/int8.py: its photos do not leak, and what it says of recorded runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeeff.benchmarks.against._int8_table import FLOAT, Judged, Result, Timed, table
from edgeeff.benchmarks.against._measure import Cost
from edgeeff.benchmarks.against._photos import CALIBRATION_CROPS, HELD_OUT_CROPS, in_order, photos, write_crops
from edgeeff.benchmarks.against.photos_of_gcompris import pictures
from edgeeff.errors import UsageError
from edgeeff.evaluation.scores import Comparison
from edgeeff.int8.calibration import held_out_of
from edgeeff.proportions import Share


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Twelve photos in the places where packages have them, and a drawing."""
    rng = np.random.default_rng(0)
    path = tmp_path / "photos.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(tmp_path / "photo.jpg")
            archive.write(tmp_path / "photo.jpg", f"foolbox/data/imagenet_{i:02}_{i}.jpg")
        archive.write(tmp_path / "photo.jpg", "skimage/data/logo.png")
    return path


def test_no_photo_is_in_both_folders(wheel: Path, tmp_path: Path) -> None:
    found = photos([wheel])
    assert len(found) == 12
    write_crops(found, 40, tmp_path / "calibration", tmp_path / "held-out")
    names = [{path.stem[:-4] for path in in_order(tmp_path / folder)} for folder in ("calibration", "held-out")]
    assert [len(part) for part in names] == [8, 4]
    assert not names[0] & names[1]
    assert len(list(in_order(tmp_path / "calibration"))) == CALIBRATION_CROPS
    by_edgeeff = np.array([path.stem[:-4] for path in in_order(tmp_path / "calibration")])
    apart = held_out_of(len(by_edgeeff))
    assert len(set(by_edgeeff[apart]) & set(by_edgeeff[~apart])) <= 3  # at the ends of its two runs
    crops = list(in_order(tmp_path / "held-out"))
    assert len(crops) == 4 * HELD_OUT_CROPS
    assert Image.open(crops[0]).size == (40, 40)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "left.png").write_bytes(b"of an earlier run")
    write_crops(found, 40, tmp_path / "again", tmp_path / "held-out-again")
    assert not (tmp_path / "again" / "left.png").exists()
    assert crops[0].read_bytes() == (tmp_path / "held-out-again" / crops[0].name).read_bytes()


def test_what_holds_no_photos_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("no wheel")
    with pytest.raises(UsageError, match="neither a folder of photos nor a wheel"):
        photos([tmp_path / "x.txt"])
    with pytest.raises(UsageError, match="0 photos are too few"):
        photos([tmp_path])


def test_more_photos_have_columns_of_their_own_with_the_interval_of_their_agreement() -> None:
    cost = Cost(12.4, 20.0, 10**9)
    made = Result("lite0", "tflite", "TensorFlow", cost, Path("q.tflite"), None)
    crops = Comparison(Share(53, 54), 16.81, (16.0, 17.7), None)
    more = Comparison(Share(221, 238), 18.14, (17.6, 18.6), None)
    shown = table([made], [Judged(made, 5_250_000, crops, more)], [])
    assert [column.title for column in shown.columns][3:8] == [
        "SQNR, dB",
        "same class",
        "SQNR, 238 photos",
        "same class of them",
        "size, MB",
    ]
    row = ["16.8 [16.0, 17.7]", "0.981", "18.1 [17.6, 18.6]", "0.929 [0.889, 0.955]", "5.25", "-", "-", "12"]
    assert shown.rows == [
        ["lite0", "tflite", "TensorFlow", *row],
        ["lite0", "tflite", "float again", "", "", "", "", "", "-", "-", ""],
    ]


def test_pictures_are_found_in_a_qt_resource_by_the_lengths_before_them() -> None:
    content = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(content, "JPEG")
    jpeg = content.getvalue()
    content = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(content, "WEBP")
    webp = content.getvalue()
    packed = b"".join(len(part).to_bytes(4, "big") + part for part in (b"<xml/>", jpeg, webp))
    assert list(pictures(b"qres" + packed)) == [jpeg, webp]
    assert list(pictures(b"qres" + packed[:-1])) == [jpeg]  # cut off


def test_ratios_are_taken_call_by_call_and_failures_keep_their_place() -> None:
    """The machine slows down tenfold within the process; the int8 file takes half of the float file's time."""
    cost = Cost(12.4, 20.0, 10**9)
    made = Result("lite0", "tflite", "TensorFlow", cost, Path("q.tflite"), None)
    failed = Result("lite0", "tflite", "ai-edge-quantizer", cost, None, "exit code 1: no module")
    found = Judged(made, 5_250_000, Comparison(Share(57, 60), 18.234, (17.5, 19.0), None))
    float_ns = tuple(round(1e6 * 10 ** (i / 20)) for i in range(21))
    half = tuple(ns // 2 for ns in float_ns)
    timed = [
        Timed("lite0", "tflite", threads, {FLOAT: float_ns, "TensorFlow": half, f"{FLOAT} again": float_ns})
        for threads in (1, 1, 2)
    ]
    rows = table([made, failed], [found], timed).rows
    assert rows == [
        ["lite0", "tflite", "TensorFlow", "18.2 [17.5, 19.0]", "0.950", "5.25", "0.50 (0.50 - 0.50)", "0.50", "12"],
        ["lite0", "tflite", "float again", "", "", "", "1.00 (1.00 - 1.00)", "1.00", ""],
    ]
