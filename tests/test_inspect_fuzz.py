"""Whatever stands in a file, `inspect` gives a summary or a UsageError, and takes no more memory than the file."""

from __future__ import annotations

import json
import tracemalloc
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, Dense, Mean, Unary

FORMATS = pytest.mark.parametrize("format_name", ["onnx", "tflite"])
# Derandomised, so that a run of the tests says the same each time; the long campaigns were run by hand.
BOUNDED = settings(
    max_examples=120, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def network(channels: int) -> Graph:
    random = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.standard_normal(shape, np.float32)

    return Graph(
        "fuzzed",
        {"image": (1, 3, 8, 8)},
        (
            Node("conv", Conv2d(weight(4, 3, 3, 3), weight(4), padding=(1, 1, 1, 1)), ("image",)),
            Node("silu", Unary("silu"), ("conv",)),
            Node("mean", Mean((2, 3), keepdims=False), ("silu",)),
            Node("classes", Dense(weight(channels, 4), weight(channels)), ("mean",)),
        ),
        ("classes",),
    )


def write(format_name: str, path: Path, channels: int = 5) -> None:
    registry.converter(format_name).write(network(channels), path, precision="fp16", metadata={"key": "value"})
    if format_name == "onnx":  # with its shapes stated, so that an example need not start a process to infer them
        onnx.save(onnx.shape_inference.infer_shapes(onnx.load(path)), path)


@cache
def written(format_name: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{format_name}"
        write(format_name, path)
        return path.read_bytes()


def survives(format_name: str, path: Path, content: bytes) -> None:
    """Any other error than UsageError fails the test; what is summarised can be printed."""
    path.write_bytes(content)
    try:
        summary = registry.converter(format_name).inspect(path)
    except UsageError as error:
        assert str(path) in error.message
        assert error.hint
        return
    json.dumps([summary.macs, summary.parameters, dict(summary.op_counts), repr(summary.inputs)])
    assert 0 <= float(summary.macs or 0) < 1e300
    assert summary.ops > 0


@FORMATS
@BOUNDED
@given(data=st.data())
def test_changed_bytes(format_name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(written(format_name))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=24)
    ):
        content[place] = value
    survives(format_name, tmp_path / f"m.{format_name}", bytes(content))


@FORMATS
@BOUNDED
@given(data=st.data())
def test_changed_words(format_name: str, data: st.DataObject, tmp_path: Path) -> None:
    """Offsets and lengths are words of 32 bits: small ones, and those at the limits."""
    content = bytearray(written(format_name))
    word = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4, len(content)]) | st.integers(0, 256)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) // 4 - 1), word), min_size=1, max_size=8)
    ):
        content[4 * place : 4 * place + 4] = value.to_bytes(4, "little")
    survives(format_name, tmp_path / f"m.{format_name}", bytes(content))


@FORMATS
@BOUNDED
@given(kept=st.integers(0, 400), tail=st.binary(max_size=400))
def test_a_good_beginning_with_any_tail(format_name: str, kept: int, tail: bytes, tmp_path: Path) -> None:
    survives(format_name, tmp_path / f"m.{format_name}", written(format_name)[:kept] + tail)


@FORMATS
def test_truncation_is_an_error_at_every_place(format_name: str, tmp_path: Path) -> None:
    whole = written(format_name)
    path = tmp_path / f"m.{format_name}"
    # Behind the end of the graph there is metadata, which says nothing of the network.
    end = whole.index(b"value") if format_name == "onnx" else len(whole)
    for length in range(0, end, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError):
            registry.converter(format_name).inspect(path)


@FORMATS
def test_memory_does_not_grow_with_the_weights(format_name: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{format_name}"
    write(format_name, path, channels=2_000_000)
    assert path.stat().st_size > 16_000_000
    inspect = registry.converter(format_name).inspect
    inspect(path)  # imports what it needs
    tracemalloc.start()
    try:
        assert inspect(path).parameters == 3 * 4 * 9 + 4 + 2_000_000 * 5
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_list_of_nothing_repeated_takes_no_memory(tmp_path: Path) -> None:
    """Two bytes of such a file are an empty node, of which protobuf makes a hundred."""
    nodes = b"\x0a\x00" * 5_000_000
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x0a\x3a" + b"\x80\xad\xe2\x04" + nodes)
    with pytest.raises(UsageError, match="more entries than a network can"):
        registry.converter("onnx").inspect(path)
