"""`edgeeff convert`: a network to files."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff import registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._integer_files import integer_form, say_whether_it_pays
from edgeeff.cli._integers import IntegerRequest, integer_options
from edgeeff.cli._road import convert_by_road, find_road
from edgeeff.cli._scaling import ScalingOptions, scaling_options
from edgeeff.cli._shared import json_option, print_json, say, warn
from edgeeff.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from edgeeff.int8.integers import IntegerForm
    from edgeeff.protocols import Converter, ModelFamily, Runtime
    from edgeeff.traced_network import Network
    from edgeeff.values import Artifact, Variant

Target = tuple["Converter", "Runtime", str]


class Shape(click.ParamType[tuple[int, ...]]):
    """ "1x3x224x224": an input's shape, NCHW, batch 1."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"1(x[1-9]\d{0,5}){1,3}", value):
            self.fail(f"{value!r} is not a shape such as 1x3x224x224, with a batch of 1", param, ctx)
        return tuple(int(part) for part in value.split("x"))


@click.command("convert", short_help="Write a network as ONNX or TFLite.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="b0, lite0, mobilenetv2 ...: see edgeeff variants. Repeatable.",
)
@click.option("--module", metavar="PACKAGE.FILE:FUNCTION", help="Any torch network in place of a variant.")
@click.option("--input", "inputs", multiple=True, type=Shape(), help="Input shape of --module, e.g. 1x3x224x224.")
@click.option(
    "--format", "formats", multiple=True, default=["tflite"], show_default=True, help="tflite, onnx. Repeatable."
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    default=["fp32"],
    show_default=True,
    help="fp32, fp16, int8-weights, dynamic, int8. Repeatable.",
)
@integer_options
@click.option(
    "--for",
    "machine",
    metavar="MACHINE",
    help="Whose kernels ONNX integers are made for: host (the default), arm, x86-avx2, x86-vnni.",
)
@click.option("--io", metavar="TYPE", help="What an int8 file takes and gives: float (the default), int8, uint8.")
@click.option(
    "--via",
    metavar="NAME",
    help="By another project's converter: tensorflow, to tflite and saved_model.",
)
@click.option(
    "--weights", default="auto", show_default=True, metavar="SOURCE", help="auto, pretrained, random or a file."
)
@click.option(
    "--padding", type=click.Choice(["same", "symmetric"]), help="TensorFlow's or torch's. Default: as the weights want."
)
@click.option(
    "--classes", type=click.IntRange(1, 100_000), help="Outputs of the classifier. Default: as the weights have."
)
@scaling_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("artifacts"), show_default=True, help="The folder."
)
@json_option
def convert(
    variants: Sequence[str],
    module: str | None,
    inputs: Sequence[tuple[int, ...]],
    formats: Sequence[str],
    precisions: Sequence[str],
    machine: str | None,
    io: str | None,
    via: str | None,
    weights: str,
    padding: str | None,
    classes: int | None,
    scaling: ScalingOptions,
    request: IntegerRequest,
    out: Path,
    as_json: bool,
) -> None:
    """Write networks as ONNX or TFLite files, each run in its own runtime and held against torch.

    Weights: `auto` takes the published ones where they can be had, else random ones, and says so. A file may be
    .safetensors or a torch checkpoint in timm's, torchvision's or efficientnet-pytorch's layout.
    """
    # Threads of torch that wait for each other spin by default: on a busy machine B7 costs twice the CPU time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _require_one_source(variants, module, inputs)
    if module is not None:
        _refuse_with_module(weights, padding, classes, scaling)
    request.require_use(precisions)
    explanations: dict[tuple[str, str], Mapping[str, Any]] = {}

    def explained(explanation: Mapping[str, Any]) -> None:
        explanations[explanation["network"], explanation["precision"]] = explanation

    if via is None:
        targets = _targets(formats, precisions)
        form = integer_form(targets, machine, io)
    else:
        road, road_targets = find_road(
            via, formats, precisions, **{"for": machine, "io": io, **request.unused_by_roads}
        )
    request.require_images(precisions)
    if module is not None:
        networks = iter([_module_network(module, inputs)])
    else:
        wanted = [scaling.apply(*find_variant(name)) for name in variants]
        networks = (_variant_network(*pair, weights, classes, padding) for pair in wanted)
    if via is None:
        artifacts = list(_convert_all(networks, targets, out, request, form, explained))
    else:
        artifacts = list(
            convert_by_road(networks, road, road_targets, out, request.images, request.options.min_sqnr_db)
        )
    _show(artifacts, list(explanations.values()), as_json)


def _show(artifacts: Sequence[Artifact], explanations: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        from edgeeff.artifacts import to_json

        more = {"explanations": explanations} if explanations else {}
        print_json({"artifacts": [to_json(artifact) for artifact in artifacts], **more})
    else:
        from edgeeff.report.artifacts_table import artifacts_text
        from edgeeff.report.explanation_table import explanation_text

        print_text(artifacts_text(artifacts))
        for explanation in explanations:
            print_text("\n" + explanation_text(explanation))


def convert_default(out: Path) -> list[Path]:
    """Converts b0 to TFLite, for a bench that finds nothing to time."""
    variant, family = find_variant("b0")
    network = _variant_network(variant, family, "auto", None, None)
    return [artifact.path for artifact in _convert_all(iter([network]), _targets(["tflite"], ["fp32"]), out)]


def find_variant(name: str) -> tuple[Variant, ModelFamily]:
    """A published variant of any family, and its family; of a file that `edgeeff search` wrote, the network in it."""
    if name.endswith(".json"):
        from edgeeff.search.networks import family_of, read

        return family_of(read(Path(name)))
    known: dict[str, tuple[Variant, ModelFamily]] = {}
    for family in registry.families().values():
        known |= {variant.name: (variant, family) for variant in family.variants.values()}
    if name not in known:
        raise unknown_name("variant", name, known)
    return known[name]


def _require_one_source(variants: Sequence[str], module: str | None, inputs: Sequence[tuple[int, ...]]) -> None:
    if bool(variants) == (module is not None):
        raise UsageError("say what to convert: --variant NAME, or --module PACKAGE.FILE:FUNCTION with --input SHAPE")
    if module is not None and not inputs:
        raise UsageError("--module needs the shape of its input", "for example --input 1x3x224x224")
    if module is None and inputs:
        raise UsageError("--input goes with --module; a variant's input is square", "use --resolution PIXELS")


def _refuse_with_module(weights: str, padding: str | None, classes: int | None, scaling: ScalingOptions) -> None:
    """Refuses the options of a variant where the user's own code makes the network."""
    given = {"--weights": weights != "auto", "--padding": padding, "--classes": classes, "scaling": scaling.is_given}
    wrong = [option for option, value in given.items() if value]
    if wrong:
        raise UsageError(f"{' and '.join(wrong)} cannot go with --module", "let its own code make the network so")


def _targets(formats: Sequence[str], precisions: Sequence[str]) -> list[Target]:
    """Each format in each precision, once; every name checked and every package found before work begins."""
    targets = []
    for format_name in dict.fromkeys(formats):
        converter = registry.converter(format_name)
        runtime = registry.runtime(converter.runtime)
        runtime.version()
        for precision in dict.fromkeys(precisions):
            if precision not in converter.precisions:
                raise unknown_name(f"precision of {format_name}", precision, converter.precisions)
            targets.append((converter, runtime, precision))
    return targets


def _module_network(spec: str, shapes: Sequence[tuple[int, ...]]) -> Network:
    from edgeeff.converters import trace
    from edgeeff.networks import from_module

    say(f"tracing {spec}")
    # What the user's code prints must not stand before the document on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        return from_module(spec, shapes, trace)


def _variant_network(
    variant: Variant, family: ModelFamily, weights: str, classes: int | None, padding: str | None
) -> Network:
    from edgeeff.converters import trace
    from edgeeff.networks import from_variant
    from edgeeff.weights.sources import load

    loaded = load(variant, family, weights, classes=classes, padding=padding)
    for note in loaded.notes:
        warn(f"{variant.name}: {note}")
    say(f"tracing {variant.name} at {variant.resolution} px, weights {loaded.label}")
    return from_variant(variant, family, loaded, trace)


def _convert_all(
    networks: Iterator[Network],
    targets: Sequence[Target],
    out: Path,
    given: IntegerRequest | None = None,
    form: IntegerForm | None = None,
    explained: Callable[[Mapping[str, Any]], None] = lambda explanation: None,
) -> Iterator[Artifact]:
    from edgeeff.convert import convert as convert_network

    request = given or IntegerRequest()

    def quantize_network(network: Network, precision: str) -> Iterator[Network]:
        from edgeeff.converters import quantizations

        for number, made in enumerate(quantizations(network, precision, images, request.options, known)):
            if number:
                say(f"{network.name} {precision}: the file missed the limit that its simulation kept; a further form")
            tell(made.notes[len(network.notes) :], f"{network.name} {precision}")
            if made.explanation is not None:
                explained({"network": network.name, "precision": precision, **made.explanation})
            yield made

    def tell(notes: Sequence[str], about: str) -> None:
        for line in (f"{about}: {note}" for note in notes):
            if line not in said:
                say(line)
                said.add(line)

    said: set[str] = set()
    known: dict[bool, Any] = {}
    for network in networks:
        known.clear()
        images = request.images(network)
        artifacts = convert_network(
            network,
            targets,
            out,
            lambda name: say(f"writing {out / name}"),
            quantize_network,
            request.options,
            form,
        )
        for artifact in artifacts:
            tell(artifact.notes[len(network.notes) :], f"{network.name} {artifact.precision}")
            say_whether_it_pays(artifact, network)
            yield artifact
