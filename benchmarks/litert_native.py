"""A small program over LiteRT's C API: raw samples where there is no Python (native/litert_runner.c)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgeeff.errors import UsageError
from edgeeff.files import sha256_of
from edgeeff.measuring.commands import Command, Output, Request
from edgeeff.measuring.records import failed, on_cpus, parse
from edgeeff.protocols import Device, InstalledRunner, Runner
from edgeeff.values import DeviceProfile, Launch

from ._native_build import LIBRARY_VARIABLE, built, compiler, is_native_runner, library
from ._prebuilt import check_abi

NAME = "litert_native"
LIBRARY_CURE = f"set {LIBRARY_VARIABLE} to the libLiteRt.so for the device: it is in LiteRT's AAR, jni/ABI/libLiteRt.so"


@dataclass(frozen=True, slots=True)
class InstalledNative:
    """The program and LiteRT's library on a device; `digest` is the library's."""

    path: str
    library: str
    digest: str

    def command(self, request: Request) -> Command:
        if request.shapes:
            raise UsageError(f"{NAME} cannot be told an input's shape", "convert the network for one shape")
        policy = request.policy
        wanted = (request.model, request.accelerator, request.threads, request.seed, policy.warmup_runs)
        limits = (policy.warmup_s, policy.min_runs, policy.max_runs, policy.max_s, policy.timeout_s)
        argv = (self.path, self.library, *map(str, (*wanted, *limits)))
        return Command(on_cpus(request.cpus, argv), request=request)

    def parse(self, output: Output) -> Launch:
        launch = parse(output)
        request = output.request
        left_out = launch.error is None and launch.fully_delegated is False
        if left_out and request is not None and request.accelerator != "cpu" and not request.allow_fallback:
            return failed(f"not all ops run on the {request.accelerator}: --allow-fallback measures it as it is")
        return replace(launch, runtime_version=f"libLiteRt.so {self.digest[:12]}")


class LitertNative:
    """Built here by the user's NDK (or this machine's compiler), or given by the user."""

    name = NAME
    formats = ("tflite",)
    kinds = ("android", "host")

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        if file is not None and not is_native_runner(file):
            return f"{file} is not the native runner"
        if file is None and compiler(profile.kind, profile.abi) is None:
            return "no compiler for it: install an NDK and set ANDROID_NDK_HOME"
        return LIBRARY_CURE if library(profile.kind) is None else None

    def install(self, device: Device, file: Path | None) -> InstalledRunner:
        abi = device.info().abi
        with_library = library(device.profile.kind)
        if with_library is None:
            raise UsageError(f"{NAME} needs LiteRT's library for {device.name}", LIBRARY_CURE)
        program = built(device.profile.kind, abi) if file is None else file
        for each in (program, with_library):
            check_abi(each, abi, device.name)
        if file is not None and not is_native_runner(file):
            raise UsageError(f"{file} is not the native runner", "build benchmarks/native/litert_runner.c")
        path = device.push(program, executable=True)
        return InstalledNative(path, device.push(with_library), sha256_of(with_library))


ADAPTER: Runner = LitertNative()
