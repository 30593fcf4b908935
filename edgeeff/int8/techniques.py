"""The techniques that int8 is made with, by the names under which they are switched off (`--without NAME`).

Each is a module of its own in converters/, and is kept for a network only where it helps on images that it was not
fitted on; other-photos alone is not tried against anything: what it is for, the images at hand do not show.
converters/README.md has the gain of each, and the script that measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeeff.errors import unknown_name

SWISH_EQUALISATION = "swish-equalisation"

TECHNIQUES: Mapping[str, str] = {
    "channel-splitting": "copies of noisy channels in unused ones (after OCS, Zhao et al. 2019)",
    SWISH_EQUALISATION: "all in int8, TFLite: channels of like range by a beta of each swish's (Nagel et al. 2019)",
    "percentile": "ranges without the rarest values (Wu et al. 2020)",
    "least-error": "ranges of the least squared error (Nagel et al. 2021)",
    "least-noise": "ranges of the least noise in the outputs, by their slopes",
    "spare-range": "room for what other photos bring, where rounding can spare it (cross-validation)",
    "other-photos": "in mixed precision: variants of the photos, as other photos may be, count too",
    "adaptive-rounding": "weights rounded so that errors cancel (GPTQ, Frantar et al. 2022)",
    "bias-correction": "biases that keep each channel's mean (Nagel et al. 2019)",
}


def without(names: Iterable[str]) -> frozenset[str]:
    """The techniques to leave out.

    Raises:
        UsageError: one is not known.
    """
    left_out = frozenset(names)
    for name in sorted(left_out - set(TECHNIQUES)):
        raise unknown_name("technique", name, TECHNIQUES)
    return left_out
