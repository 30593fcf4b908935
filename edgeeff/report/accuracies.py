"""Whose accuracy a file may claim: one measured by the user, else the published one of its network, else none."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from edgeeff.codec import decode
from edgeeff.errors import UsageError
from edgeeff.files import read_bytes
from edgeeff.proportions import Pair, Share
from edgeeff.published import INT8_TOP1
from edgeeff.values import Accuracy, Measurement, Variant

_LAYOUT = 'each entry needs "top1" and one of "variant", "path", "sha256"; "format" and "precision" narrow it'


@dataclass(frozen=True, slots=True)
class GivenAccuracy:
    """An accuracy that the user measured, and of which files; a field that is None stands for any."""

    top1: float
    where: str
    """File and entry, for messages."""
    sha256: str | None = None
    path: str | None = None
    variant: str | None = None
    format: str | None = None
    precision: str | None = None
    share: Share | None = None
    """Of how many images how many were right, where it is given."""
    against: tuple[str, Pair] | None = None
    """The SHA-256 of another file, and on which of the same images each was right."""

    def fits(self, measurement: Measurement) -> bool:
        """Whether every field that is given agrees.

        An entry that names neither a file nor a precision speaks for fp32 alone: what a network loses in fp16 or
        int8 is the very thing that has to be measured.
        """
        if self.path is not None and not _same_path(self.path, measurement.path):
            return False
        precision = self.precision
        if precision is None and self.sha256 is None and self.path is None:
            precision = "fp32"
        m = measurement
        found = (m.sha256, m.variant, m.format, m.precision)
        return all(
            a in (None, b) for a, b in zip((self.sha256, self.variant, self.format, precision), found, strict=True)
        )

    @property
    def specificity(self) -> tuple[bool, ...]:
        """Sorts entries that fit the same file: by content, then by path, then by what narrows them."""
        given = (self.sha256, self.path, self.variant, self.format, self.precision)
        return tuple(field is not None for field in given)


def _same_path(given: str, measured: str) -> bool:
    """A bare file name fits a file of that name in any folder."""
    if Path(given).name == given:
        return Path(measured).name == given
    return Path(given).absolute() == Path(measured).absolute()


def read_accuracies(path: Path) -> tuple[GivenAccuracy, ...]:
    """Reads a JSON list of objects (or {"accuracies": [...]}) or a CSV file with a header line.

    Raises:
        UsageError: the file cannot be read, is neither, or an entry is malformed; names the entry.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file", "give JSON or CSV in UTF-8") from error
    entries = _json_entries(path, text) if text.lstrip()[:1] in ("[", "{") else _csv_entries(path, text)
    given = tuple(_parse(entry, f"{path}, entry {number}") for number, entry in enumerate(entries, 1))
    if not given:
        raise UsageError(f"{path} holds no accuracy", _LAYOUT)
    return given


def _json_entries(path: Path, text: str) -> Sequence[Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}", _LAYOUT) from error
    entries = document.get("accuracies") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise UsageError(f"{path} holds no list of accuracies", _LAYOUT)
    return entries


def _csv_entries(path: Path, text: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        if "top1" not in (reader.fieldnames or ()):
            raise UsageError(f"{path} has no column top1 in its first line", _LAYOUT)
        yield from reader
    except csv.Error as error:
        raise UsageError(f"{path} is not valid CSV: {error}", _LAYOUT) from error


def _parse(entry: Any, where: str) -> GivenAccuracy:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where} is not an object: {entry!r}", _LAYOUT)
    fields: dict[str, str] = {}
    for name in ("sha256", "path", "variant", "format", "precision"):
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{where}: {name} is not text: {value!r}", _LAYOUT)
        if value and value.strip():
            fields[name] = value.strip() if name == "path" else value.strip().lower()
    if not fields.keys() & {"sha256", "path", "variant"}:
        raise UsageError(f"{where} does not say of which file or variant it is", _LAYOUT)
    share = _share(entry, where)
    top1 = _top1(entry.get("top1"), where, none_right=share is not None and share.count == 0)
    if share is not None and abs(share.value - top1) > 5e-4:  # people round
        raise UsageError(f"{where}: top1 is {top1:g}, and {share.count} of {share.total} images are {share.value:g}")
    against = _against(entry["against"], where) if entry.get("against") else None
    return GivenAccuracy(top1 if share is None else share.value, where, **fields, share=share, against=against)


def _share(entry: Mapping[str, Any], where: str) -> Share | None:
    """Counts of images, from JSON or as CSV's text; None where they are not given."""
    given = [entry.get("correct"), entry.get("images")]
    if any(value in (None, "") for value in given):
        return None
    counts = [int(value) if isinstance(value, str) and value.strip().isdecimal() else value for value in given]
    correct, images = counts
    if type(correct) is not int or type(images) is not int or not 0 <= correct <= images or not images:
        fault = f"{where}: correct and images are no counts: {given[0]!r} of {given[1]!r}"
        raise UsageError(fault, "give how many images were right, and of how many")
    return Share(correct, images)


def _against(given: Any, where: str) -> tuple[str, Pair]:
    """What `edgeeff evaluate --against` counted."""
    try:
        pair = decode(Pair, given)
        if not isinstance(given["sha256"], str) or min(astuple(pair)) < 0 or not pair.total:
            raise ValueError
    except (ValueError, KeyError) as error:
        raise UsageError(f"{where}: what stands under against is not of edgeeff evaluate", "evaluate anew") from error
    return given["sha256"].lower(), pair


def _top1(value: Any, where: str, *, none_right: bool) -> float:
    """A fraction above 0 up to 1, or a percentage that says so ("75.1%"): 1 is 100 %, never 1 %.

    0 is taken only where counts say that none of the images was right: else it is a mistake.
    """
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise UsageError(f"{where}: top1 is not a number: {value!r}", "give 0.751 or 75.1%") from None
    top1 = number / 100 if text.endswith("%") else number
    if 0 < top1 <= 1 or (top1 == 0 and none_right):
        return top1
    cure = f"did you mean {number:g}%?" if 1 < number <= 100 else "give 0.751 or 75.1%"
    raise UsageError(f"{where}: top1 must be a fraction above 0 and up to 1, not {text}", cure)


@dataclass(frozen=True, slots=True)
class Claim:
    """The accuracy that a file may claim, or None, and what its reader must know of it."""

    accuracy: Accuracy | None
    note: str
    against: tuple[str, Pair] | None = None
    """As in `GivenAccuracy`."""


def claim(
    measurement: Measurement, variants: Mapping[str, Variant], given: Sequence[GivenAccuracy] = ()
) -> tuple[Claim, GivenAccuracy | None]:
    """The accuracy of a file, and the user's entry that it comes from.

    Raises:
        UsageError: two entries fit the file equally well and disagree.
    """
    fitting = sorted((g for g in given if g.fits(measurement)), key=lambda g: g.specificity, reverse=True)
    if not fitting:
        return _published(measurement, variants), None
    best = fitting[0]
    for other in fitting[1:]:
        if other.specificity == best.specificity and other.top1 != best.top1:
            raise UsageError(
                f"{best.where} and {other.where} disagree on {measurement.path}: {best.top1:g} and {other.top1:g}",
                "remove one, or narrow them by format and precision",
            )
    counted = f", {best.share.count} of {best.share.total} images" if best.share else ""
    interval = best.share.interval if best.share else None
    accuracy = Accuracy(best.top1, best.where, "measured", interval)
    return Claim(accuracy, f"measured: {best.where}{counted}", best.against), best


def _published(measurement: Measurement, variants: Mapping[str, Variant]) -> Claim:
    """The published accuracy of the file's network in its precision, which is never the file's own."""
    name, precision = measurement.variant, measurement.precision
    if name is None:
        return Claim(None, "unknown: the file is of no variant that edgeeff knows; give --accuracy")
    variant = variants.get(name)
    if variant and measurement.macs and variant.macs and measurement.macs != variant.macs:
        found = f"{measurement.macs:,} multiply-adds where the published {name} has {variant.macs:,}"
        return Claim(None, f"unknown: another number of classes or another resolution, {found}; give --accuracy")
    float_accuracy = variant.published if variant else None
    accuracy = float_accuracy if precision in ("fp32", "fp16") else None
    if precision == "int8":
        accuracy = INT8_TOP1.get(name)
    if accuracy is None:
        return Claim(None, f"unknown: none is published for {name} in {precision}; give --accuracy")
    weights = "random weights" if is_random(measurement) else f"the weights {measurement.weights or 'unknown'}"
    note = f"published (the variant's; this file has {weights}): {accuracy.source}"
    if precision == "fp16":
        note += "; that of fp32, fp16 is not published"
    return Claim(accuracy, note)


def is_random(measurement: Measurement) -> bool:
    """Whether the file's weights are random, so that no accuracy is its own."""
    return (measurement.weights or "").startswith("random")
