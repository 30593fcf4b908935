"""Steps of a runtime joined with the operators of a file, and profiles on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.profiling.join import Step, join, match
from edgeeff.profiling.profiles import OpTime, Profile, block_of, by_block, by_kind, read_profile, write_profile
from edgeeff.values import DeviceInfo, Operator


def op(name: str, type_: str, macs: int = 0, reads: str = "", kind: str = "") -> Operator:
    return Operator(name, type_, kind or type_.lower(), macs, tuple(reads.split()), (name,))


def step(kernel: str, *types: str, name: str = "", index: int | None = None, time_s: float = 1e-3) -> Step:
    return Step(kernel, time_s, types, name, index)


CONV = ("CONV_2D", "DEPTHWISE_CONV_2D")
DENSE = ("FULLY_CONNECTED", "CONV_2D")
TFLITE = [
    op("stem", "CONV_2D", 100, "x"),
    op("blocks.0.0.dw", "DEPTHWISE_CONV_2D", 20, "stem"),
    op("blocks.0.0.pw", "CONV_2D", 50, "blocks.0.0.dw"),
    op("blocks.0.0.add", "ADD", 0, "stem blocks.0.0.pw"),
    op("cat", "CONCATENATION", 0, "blocks.0.0.add"),
    op("pool", "MEAN", 0, "cat"),
    op("classifier", "FULLY_CONNECTED", 10, "pool"),
]


def test_steps_without_names_are_matched_by_type_in_order() -> None:
    steps = [
        step("Convert", "QUANTIZE"),
        step("Convolution IGEMM", *CONV),
        step("Convolution DWConv", *CONV),
        step("Fully Connected", *DENSE),
        step("Add", "ADD"),
        step("CONCATENATION", "CONCATENATION", index=4),
        step("Mean", "MEAN"),
        step("Static Reshape", "RESHAPE"),
        step("Fully Connected", *DENSE),
    ]
    assert match(TFLITE, steps) == [None, 0, 1, 2, 3, 4, 5, None, 6]


def test_an_index_keeps_what_is_before_it_from_what_is_behind() -> None:
    steps = [step("Fully Connected", *DENSE), step("CONCATENATION", "CONCATENATION", index=4), step("F C", *DENSE)]
    assert match(TFLITE, steps) == [0, 4, 6]


ONNX = [
    op("stem.linear", "Conv", 100, "x", "conv 3x3"),
    op("stem", "Clip", 0, "stem.linear"),
    op("b.1.expand", "Conv", 30, "stem", "conv 1x1"),
    op("b.1.gate", "Sigmoid", 0, "b.1.expand"),
    op("b.1.mul", "Mul", 0, "stem b.1.gate"),
    op("b.1.project", "Conv", 40, "b.1.mul", "conv 1x1"),
    op("b.1.add", "Add", 0, "stem b.1.project"),
]


def test_what_was_fused_counts_with_the_step_it_ran_in() -> None:
    steps = [
        step("Conv", "Conv", name="stem_nchwc"),
        step("Conv", "Conv", name="b.1.gate_nchwc"),
        step("ReorderOutput", name="ReorderOutput_token_3"),
        step("Mul", "Mul", name="b.1.mul"),
        step("Conv", "Conv", name="b.1.project_nchwc"),
    ]
    ops = join(ONNX, [steps])
    assert [(o.name, o.kind, o.macs, o.fused) for o in ops] == [
        ("stem.linear", "conv 3x3", 100, ("stem",)),
        ("b.1.expand", "conv 1x1", 30, ("b.1.gate",)),
        ("", "ReorderOutput", 0, ()),
        ("b.1.mul", "mul", 0, ()),
        ("b.1.project", "conv 1x1", 40, ("b.1.add",)),
    ]
    assert sum(o.macs or 0 for o in ops) == sum(o.macs or 0 for o in ONNX)


def test_a_name_that_is_the_start_of_another_is_not_taken_for_it() -> None:
    operators = [op("a.1", "Conv", 1, "x"), op("a.10", "Conv", 2, "a.1")]
    assert match(operators, [step("Conv", "Conv", name="a.10_nchwc"), step("Conv", "Conv", name="a.1_2_nchwc")]) == [
        1,
        0,
    ]


def test_nodes_without_names_are_matched_by_type() -> None:
    operators = [op("", "Conv", 1), op("", "Relu"), op("", "Conv", 2)]
    steps = [step("Conv", "Conv", name=""), step("Conv", "Conv", name="")]
    assert match(operators, steps) == [0, 2]


def test_the_order_of_steps_may_differ_between_launches() -> None:
    one = [step("Conv", "Conv", name="stem_nchwc", time_s=1.0), step("Conv", "Conv", name="b.1.project", time_s=2.0)]
    ops = join(ONNX, [one, one[::-1]])
    assert [(o.name, o.times_s) for o in ops] == [("stem.linear", (1.0, 1.0)), ("b.1.project", (2.0, 2.0))]


def test_launches_with_other_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="different steps"):
        join(TFLITE, [[step("Add", "ADD")], [step("Mean", "MEAN")]])


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("blocks.3.0.depthwise.conv", "blocks.3.0"),
        ("stem.activation/sigmoid", "stem"),
        ("classifier", "classifier"),
        ("features.3.conv.0", "features.3"),
        ("efficientnet-b0/model/blocks_0/depthwise_conv2d/depthwise", "efficientnet-b0/model/blocks_0"),
        ("layer1.0.conv1", "layer1.0"),
        ("Conv_12", None),
        ("StatefulPartitionedCall:0", None),
        ("", None),
    ],
)
def test_block_of_a_name(name: str, block: str | None) -> None:
    assert block_of(name) == block


def profile(**changes: object) -> Profile:
    device = DeviceInfo("host", "host", None, None, None, "x86_64", 2, None)
    ops = (
        OpTime("stem", "conv 3x3", "IGEMM", "stem", 100, (), (1, 8, 8, 4), (1e-3, 3e-3, 2e-3)),
        OpTime("blocks.0.0.pw", "conv 1x1", "GEMM", "blocks.0.0", 300, (), None, (4e-3, 4e-3, 4e-3)),
        OpTime("", "Convert", "Convert", None, 0, (), None, (2e-3, 2e-3, 2e-3)),
        OpTime("blocks.0.0.pw2", "conv 1x1", "GEMM", "blocks.0.0", None, (), None, (0.0, 0.0, 0.0)),
    )
    whole = Profile(
        "a1", "m.tflite", "0" * 64, 10, "tflite", "fp32", None, None, 400, "litert", "2.3", 1, "cpu", device, "0.1",
        1.7e9, "LiteRT's profiler", 30, (9e-3, 9e-3, 9e-3), (8.5e-3, 8.5e-3, 8.5e-3), (8e-3, 9e-3, 8e-3), ops,
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_shares_add_up() -> None:
    kinds = by_kind(profile())
    assert [(s.name, s.ops, s.macs) for s in kinds] == [
        ("conv 1x1", 2, None),
        ("conv 3x3", 1, 100),
        ("(added by the runtime)", 1, 0),
    ]
    assert sum(s.share for s in kinds) == pytest.approx(1)
    assert kinds[1].macs_per_s == pytest.approx(100 / 2e-3)
    assert kinds[0].macs_per_s is None and kinds[2].macs_per_s is None
    assert [s.name for s in by_block(profile())] == ["stem", "blocks.0.0", "(added by the runtime)"]
    nameless = profile(ops=tuple(replace(o, block=None) for o in profile().ops))
    assert by_block(nameless) == []


def test_overhead_is_unknown_where_it_was_not_measured() -> None:
    assert profile().overhead == pytest.approx(0.125)
    assert profile(plain_s=()).overhead is None


def test_what_is_outside_of_the_ops_is_told_from_what_others_took() -> None:
    """9 ms an inference, of which the steps of a run add up to 8.5 ms, and their medians to 8 ms."""
    assert profile().outside_share == pytest.approx(0.5 / 9)
    assert profile().interrupted_share == pytest.approx(0.5 / 8.5)


def test_a_profile_survives_the_disk(tmp_path: Path) -> None:
    path = write_profile(profile(), tmp_path / "results")
    assert path.name == "20231114T221320Z-a1.profile.json"
    assert read_profile(path) == profile()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 9}, "schema 9"),
        ({"ops": 3}, "not a profile"),
        ({"profiled_s": []}, "holds no times"),
        ({"threads": "1"}, "'threads'"),
    ],
)
def test_a_damaged_profile_is_one_sentence(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write_profile(profile(), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=message):
        read_profile(path)


@pytest.mark.parametrize("fixture", ["small_onnx", "small_tflite"])
def test_operators_are_those_that_inspect_counts(fixture: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(fixture)
    converter = registry.converter(path.suffix[1:])
    operators, summary = converter.operators(path), converter.inspect(path)
    assert sum(operator.macs or 0 for operator in operators) == summary.macs == 16 * 16 * 8 * 27 + 80
    assert len(operators) == summary.ops
    assert [o.kind for o in operators if o.macs] == ["conv 3x3", "dense"]
    made = {value for operator in operators for value in operator.outputs} | {t.name for t in summary.inputs}
    assert all(value in made for operator in operators for value in operator.inputs)
