"""What int8 is asked for on the command line, and images where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgeeff.cli._integers import IntegerRequest
from edgeeff.cli._types import Share
from edgeeff.cli.convert import convert
from edgeeff.converters import synthesise
from edgeeff.errors import UsageError
from edgeeff.graph import Graph
from edgeeff.int8.calibration import held_out_of
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.report.artifacts_table import artifacts_text
from edgeeff.traced_network import Network
from edgeeff.values import Artifact, Normalisation, Parity

NETWORK = Network(
    "net",
    Graph("net", {"image": (1, 3, 32, 32)}, (), ("image",)),
    (np.zeros((1, 3, 32, 32), np.float32),),
    (),
    "noise",
    "random(seed=0)",
    0,
    resolution=32,
    classes=10,
    normalisation=Normalisation((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)),
)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.02", 0.02), ("0", 0.0), ("12.5 %", 0.125)])
def test_a_drop_is_a_share_or_a_percentage(text, share):
    assert Share(zero=True).convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize("text", ["one", "-1%", "100%", "5", ""])
def test_what_is_no_share_is_refused(text):
    done = CliRunner().invoke(convert, ["--variant", "lite0", "--precision", "int8", "--max-drop", text])
    assert done.exit_code == 2
    assert "is not a share between 0 and 1" in done.output


def test_int8_without_images_is_refused_before_anything_is_written(tmp_path):
    command = ["--variant", "lite0", "--precision", "fp32", "--precision", "int8", "--out", str(tmp_path)]
    done = CliRunner().invoke(convert, command)
    assert isinstance(done.exception, UsageError)
    assert "needs --calibration DIR" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_technique_has_a_suggestion():
    done = CliRunner().invoke(convert, ["--variant", "lite0", "--precision", "int8", "--without", "bias-corection"])
    assert isinstance(done.exception, UsageError)
    assert "bias-correction" in str(done.exception.hint)


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (IntegerRequest(options=IntegerOptions(max_drop=0.01)), "--max-drop"),
        (IntegerRequest(options=IntegerOptions(explain=True)), "--explain"),
        (IntegerRequest(options=IntegerOptions(without=frozenset({"percentile"}))), "--without"),
        (IntegerRequest(Path("none")), "--calibration"),
    ],
)
def test_options_that_would_do_nothing_are_refused(request_, option):
    with pytest.raises(UsageError, match=f"{option} changes nothing at --precision fp32"):
        request_.require_use(["fp32"])
    request_.require_use(["fp32", "int8"])


def test_a_drop_of_classes_needs_classes():
    features = replace(NETWORK, classes=0)
    with pytest.raises(UsageError, match="--max-drop counts classes, and net gives features"):
        IntegerRequest(options=IntegerOptions(max_drop=0.01)).images(features)


def test_images_that_are_made_are_pictures_and_the_same_every_time():
    made, again = synthesise(NETWORK), synthesise(NETWORK)
    assert np.array_equal(made.images, again.images)
    assert len(made.images) + len(made.held_out) == 64
    assert "no photos" in made.source
    pixels = made.images * 0.2 + np.array([0.5, 0.4, 0.3])[:, None, None]
    assert pixels.min() > -1e-5
    assert pixels.max() < 1 + 1e-5
    assert pixels.std() > 0.1  # not grey
    assert np.abs(np.diff(pixels, axis=3)).mean() < 0.8 * pixels.std()  # nor noise: neighbours are alike


def test_what_is_measured_on_made_pictures_is_told_as_such():
    artifact = Artifact(
        path=Path("net-int8.tflite"),
        format="tflite",
        precision="int8",
        variant="net",
        weights="random(seed=0)",
        sha256="0",
        size_bytes=10**6,
        parameters=1,
        macs=1,
        ops=1,
        inputs=(),
        outputs=(),
        normalisation=None,
        labels=None,
        parity=Parity(26.5, 0.1, 10, f"16 held-out images of {synthesise(NETWORK).source}", "litert"),
        versions={},
    )
    last = artifacts_text([artifact]).splitlines()[-1]
    assert last.startswith("parity of net-int8.tflite: on 16 held-out images of dead leaves") and "lower" in last
    of_photos = replace(artifact, parity=replace(artifact.parity, inputs="16 held-out images of photos"))
    assert "parity of" not in artifacts_text([of_photos])


def test_neighbours_are_held_out_together():
    for count in (8, 20, 64, 86):
        held_out = held_out_of(count)
        assert 0.2 <= held_out.mean() <= 0.27
        borders = int(np.abs(np.diff(held_out.astype(int))).sum())
        assert borders <= max(1, held_out.sum() / 4)  # few scenes stand on both sides
