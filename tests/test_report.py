"""What the report says of measurements: ranks, targets, groups, the premise on FLOPS, the verdict."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from edgeeff.objective import HARD, SOFT, TARGET_MACS, TARGET_S, Exponents, Scored, objective, scored
from edgeeff.proportions import Pair
from edgeeff.report import _table, to_text
from edgeeff.report._numbers import percent, significant, with_interval
from edgeeff.report._table import Column, Table
from edgeeff.report.accuracies import GivenAccuracy
from edgeeff.report.build import Inputs, build
from edgeeff.report.values import Group, Report, Settings
from edgeeff.values import Accuracy, DeviceInfo, Launch, Measurement, Normalisation, Variant

HOST = DeviceInfo("host", "host", "Some CPU", "Debian 12", "6.1", "x86_64", 2, None)
TOP1 = {"b0": 0.763, "b1": 0.788, "lite0": 0.751, "lite1": 0.767, "lite2": 0.776}
VARIANTS = {
    name: Variant(name, "f", 1, 1, 224, 0.2, Normalisation((0.5,) * 3, (0.5,) * 3), "table",
                  published=Accuracy(top1, "table", "published"))
    for name, top1 in TOP1.items()
}  # fmt: skip
JITTER = (0.97, 0.98, 0.99, 1.0, 1.0, 1.01, 1.02, 1.03)


def measured(variant: str | None, ms: float, macs: int | None = 400_000_000, launches: int = 8) -> Measurement:
    """A measurement whose median is `ms` and whose launches spread by a few percent."""
    jitter = JITTER if launches == len(JITTER) else (1.0,) * launches
    return Measurement(
        f"{variant}-{ms}", "s1", f"{variant}-fp32.tflite", f"{variant}-{ms}", 1, "tflite", "fp32", variant, "wheel",
        224, macs, 5_000_000, "litert", 1, "cpu", HOST, "0.1.0", 1.79e9, 0,
        tuple(Launch(i, (round(ms * 1e6 * factor),), 1.79e9) for i, factor in enumerate(jitter)),
    )  # fmt: skip


def report(
    measurements: Sequence[Measurement], exponents: Exponents = SOFT, given: Sequence[GivenAccuracy] = ()
) -> Report:
    return build(measurements, Inputs(VARIANTS, given), Settings(TARGET_S, TARGET_MACS, exponents))


def only(found: Report) -> Group:
    assert len(found.groups) == 1
    return found.groups[0]


def test_ranks_by_the_chosen_objective() -> None:
    rows = [measured("lite0", 20), measured("b1", 60), measured("lite2", 150)]
    soft, hard = only(report(rows)), only(report(rows, HARD))
    assert [row.name for row in soft.rows] == ["lite0", "b1", "lite2"]
    assert [row.name for row in hard.rows] == ["b1", "lite0", "lite2"]
    assert [row.rank for row in hard.rows] == [1, 2, 3]
    assert hard.rows[2].objectives["hard"].value == pytest.approx(0.776 * 75 / 150)
    assert set(only(report(rows, Exponents(-0.15, -0.15))).rows[0].objectives) == {"soft", "hard", "-0.15"}


def test_the_interval_reaches_the_objective() -> None:
    row = only(report([measured("lite0", 20)])).rows[0]
    assert row.latency.interval is not None
    assert row.objectives["soft"].low == objective(0.751, row.latency.interval.high, TARGET_S)
    assert row.objectives["soft"].high == objective(0.751, row.latency.interval.low, TARGET_S)


@pytest.mark.parametrize(("ms", "launches", "meets"), [
    (70, 8, "yes"), (80, 8, "no"), (75, 8, "uncertain"), (74.9, 8, "uncertain"),
    (20, 1, "yes"), (37, 5, "yes"), (38, 5, "uncertain"), (149, 5, "uncertain"), (151, 5, "no"), (20, 0, "unknown"),
])  # fmt: skip
def test_meets_the_target_only_where_the_interval_does(ms: float, launches: int, meets: str) -> None:
    assert only(report([measured("lite0", ms, launches=launches)])).rows[0].meets_target == meets


def test_a_file_of_no_known_variant_is_listed_without_a_rank() -> None:
    group = only(report([measured(None, 1), measured("lite0", 20)]))
    assert [(row.rank, row.accuracy is None) for row in group.rows] == [(1, False), (None, True)]
    assert group.rows[1].objectives == {}
    assert group.winners["hard"][0].winner == 0
    alone = only(report([measured(None, 1)]))
    assert alone.verdict.startswith("None-fp32.tflite fp32 tflite on litert is the fastest and meets 75 ms")
    assert "--accuracy" in alone.verdict


def test_a_file_that_is_never_right_ranks_last_with_an_objective_of_0() -> None:
    rows = [measured(None, 1), measured("lite0", 20), measured("b9", 5)]
    given = [GivenAccuracy(0.0, "a.csv, entry 1", variant="b9")]
    for exponents in (SOFT, HARD):
        found = report(rows, exponents, given)
        group = only(found)
        assert [(row.name, row.rank) for row in group.rows] == [("lite0", 1), ("b9", 2), ("None-fp32.tflite", None)]
        assert group.rows[1].objectives[exponents.name] == Scored(0.0, 0.0, 0.0)
        assert {r.winner for r in group.winners[exponents.name]} == {0}
        assert "0.00 [0.00, 0.00]" in to_text.render(found)


def test_no_image_right_of_a_few_leaves_room_above_0() -> None:
    assert scored(0.0, 20.0, 75.0, HARD, (19.0, 21.0), (0.0, 0.4)) == Scored(0.0, 0.0, 0.4)


def test_only_the_same_device_and_threads_compete() -> None:
    rows = [measured("lite0", 20), replace(measured("lite0", 12), threads=4)]
    other = replace(measured("lite0", 5), device=replace(HOST, name="pixel"))
    found = report([*rows, other])
    assert [(g.device.name, g.threads, g.rows[0].rank) for g in found.groups] == [
        ("host", 1, 1),
        ("host", 4, 1),
        ("pixel", 1, 1),
    ]


def test_the_latest_measurement_of_a_file_counts() -> None:
    old = replace(measured("lite0", 90), created_unix_s=1.0, session="s0", sha256="before it was converted anew")
    found = report([measured("lite0", 20), old])
    assert [row.latency.median_s for row in only(found).rows] == [0.020]
    assert found.notes == ("1 older measurement of the same files left out: the latest counts",)
    assert len(only(report([measured("lite0", 20), replace(old, macs=399_000_000, parameters=4_000_000)])).rows) == 2
    random = replace(old, weights="random(seed=0)")
    group = only(report([measured("lite0", 20), random]))
    assert len(group.rows) == 2
    assert any("2 sessions" in note for note in group.notes)


def test_failed_launches_are_shown() -> None:
    broken = replace(measured("lite0", 20, launches=0), launches=(Launch(0, (), 0.0, error="killed by signal 9"),))
    group = only(report([broken]))
    assert group.notes[0].startswith("lite0 fp32 tflite on litert: 1 of 1 launches failed: killed by signal 9")
    assert group.verdict == "Nothing could be timed: every launch failed."


def test_an_accuracy_that_fits_nothing_is_noted() -> None:
    found = report([measured("lite0", 20)], given=[GivenAccuracy(0.7, "a.csv, entry 1", variant="b9")])
    assert found.notes == (
        "a.csv, entry 1 fits no measured file: its accuracy was not used. Cure: edgeeff bench that file",
    )


def evaluated(right: Pair) -> Report:
    """An int8 file that is a fifth faster than its float file, both counted on the same images."""
    fast, slow = measured("lite0", 16), measured("lite0", 20)
    fast = replace(fast, precision="int8", path="lite0-int8.tflite", sha256="aa")
    slow = replace(slow, sha256="bb")
    given = [
        GivenAccuracy(right.first.value, "a, entry 1", "aa", share=right.first, against=("bb", right)),
        GivenAccuracy(right.second.value, "a, entry 2", "bb", share=right.second),
    ]
    return report([fast, slow], given=given)


def test_a_counted_accuracy_reaches_the_objective_and_stands_beside_its_float_file() -> None:
    found = evaluated(Pair(17, 0, 1, 2))
    group = only(found)
    row = next(row for row in group.rows if row.measurement.precision == "int8")
    assert row.accuracy is not None and row.accuracy.interval == Pair(17, 0, 1, 2).first.interval
    score = row.objectives["soft"]
    assert score.low is not None and score.high is not None
    assert score.low < score.value * 0.64 / 0.85 * 1.01
    assert score.high > score.value * 0.94 / 0.85
    text = to_text.render(found)
    assert "85.0 [64.0, 94.8] measured" in text
    assert "On the same 20 images lite0 int8 tflite on litert has -5.0 [-23.0, +11.7] points of top-1" in text
    assert "The measurement cannot tell it from" in group.verdict


def test_accuracies_on_the_same_images_tell_more_than_their_own_intervals() -> None:
    """With 5000 images each accuracy is known to 1.2 points, the difference of the two to 0.2."""
    group = only(evaluated(Pair(3750, 10, 15, 1225)))
    first, second = group.rows
    assert first.measurement.precision == "int8"
    low, high = first.objectives["soft"].low, second.objectives["soft"].high
    assert low is not None and high is not None and low < high
    (pair,) = group.paired
    assert pair.ratio.value == pytest.approx(3760 / 3765 * (16 / 20) ** -0.07)
    assert pair.is_told_apart
    assert "cannot tell" not in group.verdict


def test_a_file_that_is_never_right_has_no_ratio_to_another() -> None:
    group = only(evaluated(Pair(0, 0, 15, 5)))
    assert [row.rank for row in group.rows] == [1, 2]
    assert group.paired == ()


def test_flops_stand_for_latency_or_not() -> None:
    rows = [
        measured(n, ms, macs * 10**6) for n, ms, macs in [("lite0", 20, 400), ("lite1", 30, 600), ("lite2", 45, 900)]
    ]
    (found,) = only(report(rows)).correlations
    assert (found.rho, found.points, found.inversion) == (1.0, 3, None)
    swapped = [replace(rows[0], launches=rows[2].launches), rows[1], replace(rows[2], launches=rows[0].launches)]
    (found,) = only(report(swapped)).correlations
    assert found.rho == -1.0
    assert found.inversion is not None
    small, large, macs, latency = found.inversion
    assert (small.split()[0], large.split()[0]) == ("lite0", "lite2")
    assert (macs, latency) == (pytest.approx(400 / 900), pytest.approx(45 / 20))
    assert only(report(rows[:2])).correlations[0].rho is None


def test_networks_that_tie_on_flops_share_the_rank() -> None:
    rows = [measured("lite0", 20), replace(measured("lite0", 15), format="onnx"), measured("b0", 50, 10**9)]
    assert sorted((row.name, row.macs_rank) for row in only(report(rows)).rows) == [
        ("b0", 3),
        ("lite0", 1),
        ("lite0", 1),
    ]


def test_published_latencies_stand_beside_the_fastest_of_the_same_kind() -> None:
    rows = [measured("lite0", 24), replace(measured("lite0", 18), format="onnx", runtime="onnxruntime")]
    beside = {entry.network: (entry.device, row) for entry, row in only(report(rows)).published}
    device, row = beside["lite0"]
    assert device == "Pixel 4"
    assert row is not None
    assert row.measurement.runtime == "onnxruntime"
    assert beside["MnasNet-A1"] == ("Pixel 1", None)


def test_verdict_names_the_first_and_how_sure_that_is() -> None:
    clear = only(report([measured("lite0", 20), measured("b0", 40)])).verdict
    assert clear.startswith("lite0 fp32 tflite on litert meets 75 ms (20.00 [")
    assert "ranks first of 2 on the soft objective. Accuracies are published" in clear
    close = only(report([measured("lite0", 20), replace(measured("lite0", 20.1), format="onnx")])).verdict
    assert "cannot tell it from lite0 fp32 onnx on litert" in close
    late = only(report([measured("b1", 90), measured("lite0", 70)], Exponents(-0.01, -0.01))).verdict
    assert late.startswith("b1 fp32 tflite on litert ranks first of 2 on the -0.01 objective but does not meet 75 ms")
    assert "The best that meets 75 ms is lite0 fp32 tflite on litert" in late
    assert "None is sure to meet 75 ms." in only(report([measured("b1", 90)])).verdict


@pytest.mark.parametrize(("shown", "expected"), [
    (significant(407.4), "407"), (significant(0.0614321), "0.0614"), (significant(12), "12.0"), (significant(0), "0"),
    (with_interval(12.3456, 11.9, 12.8), "12.35 [11.90, 12.80]"), (with_interval(123.4, 100, 150), "123 [100, 150]"),
    (with_interval(0.0123456, None, None), "0.0123"), (with_interval(0.751, 0.751, 0.751, 3), "0.751 [0.751, 0.751]"),
    (percent(0.751), "75.1"), (percent(0.7512), "75.12"),
])  # fmt: skip
def test_numbers_show_what_the_measurement_supports(shown: str, expected: str) -> None:
    assert shown == expected


def test_tables_align_and_escape() -> None:
    table = Table(
        [Column("name"), Column("ms", "decimal")], [["a|b", "12.3 [1, 2]"], ["evil\x1b[2J\n", "6.54"], ["c", "unknown"]]
    )
    assert _table.text(table).splitlines() == [
        "name                    ms",
        "-------------  -----------",
        "a|b            12.3 [1, 2]",
        r"evil\x1b[2J\n   6.54",
        "c                  unknown",
    ]
    assert _table.markdown(table).splitlines()[2] == "| a\\|b | 12.3 [1, 2] |"
    assert _table.csv(table).splitlines()[1] == 'a|b,"12.3 [1, 2]"'
