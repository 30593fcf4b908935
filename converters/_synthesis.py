"""Images to calibrate on where there are none: dead leaves.

Shapes of random size, colour and texture lie on top of each other, small ones far more often than large: such pictures
have the edges, the scales and the contrasts of photos (Ruderman 1997, "Origins of scaling in natural images"; Lee et
al. 2001), and networks learn from them nearly as from photos (Baradad et al. 2021, arXiv 2106.05963).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import UsageError
from edgeeff.int8.calibration import NO_PHOTOS, Calibration, held_out_of

if TYPE_CHECKING:
    from edgeeff.traced_network import Network

_IMAGES = 64
_LEAVES = 300
_SOURCE = f"dead leaves, seed 0 ({NO_PHOTOS})"

CAVEAT = (
    "these figures are of synthesised pictures, on which int8 looks better than on photos: Lite0 was told 26.0 dB and "
    "kept 23.8 on 238 photos, and 24.9 when calibrated on others (measured once, Lite0 alone)"
)


def synthesise(network: Network) -> Calibration:
    """Images for a network of one image.

    Raises:
        UsageError: its normalisation is not known.
    """
    if network.normalisation is None or network.resolution is None:
        raise UsageError(f"{network.name}: the normalisation of its images is not known")
    mean, std = (
        np.asarray(x, np.float32)[:, None, None] for x in (network.normalisation.mean, network.normalisation.std)
    )
    generator = np.random.Generator(np.random.PCG64(0))
    pictures = np.stack([dead_leaves(network.resolution, generator) for _ in range(_IMAGES)])
    images = (pictures - mean) / std
    held_out = held_out_of(len(images))
    return Calibration(images[~held_out], images[held_out], _SOURCE)


def dead_leaves(side: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """One picture, (3, side, side) in [0, 1]."""
    picture = np.empty((3, side, side), np.float32)
    picture[:] = generator.uniform(0, 1, (3, 1, 1))
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    for _ in range(_LEAVES):
        # Sizes by the power law that looks the same at every scale: density ~ size^-3.
        size = side / 2 * (1 + generator.uniform() * 24.0**2) ** -0.5
        y, x = generator.uniform(0, side, 2)
        around = tuple(slice(max(int(centre - size), 0), int(centre + size) + 2) for centre in (y, x))
        turn, flat = generator.uniform(0, np.pi), generator.uniform(0.4, 1)
        right, down = columns[around] - x, rows[around] - y
        a = right * np.cos(turn) + down * np.sin(turn)
        b = (down * np.cos(turn) - right * np.sin(turn)) / flat
        inside = (np.abs(a) + np.abs(b) < size) if generator.uniform() < 0.3 else (a * a + b * b < size * size)
        colour = np.clip(generator.normal(0.5, 0.25) + generator.normal(0, 0.15, 3), 0, 1)
        waves = np.sin(a * generator.uniform(0.05, 1.5) + b * generator.uniform(0, 1.5)) * generator.uniform(0, 0.25)
        shade = waves + (a / size) * generator.uniform(-0.3, 0.3)
        picture[:, *around][:, inside] = (colour[:, None] + shade[inside]).astype(np.float32)
    noise = generator.normal(0, generator.uniform(0, 0.03), picture.shape)
    return np.clip(picture + noise, 0, 1).astype(np.float32)
