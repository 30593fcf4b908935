"""Photos of animals, fish, tools, windmills and monuments, one of each subject, from Debian's gcompris-qt-data.

    apt-get download gcompris-qt-data && dpkg-deb -x gcompris-qt-data_*.deb gcompris
    python -m edgeeff.benchmarks.against.photos_of_gcompris gcompris --out photos

Its activities are Qt resource files (.rcc). In them a file is its length, in 4 bytes, big-endian, and its bytes, which
for JPEG and WebP are not compressed again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import click
from PIL import Image

ACTIVITIES = (
    "categorization",
    "erase",
    "explore_farm_animals",
    "explore_monuments",
    "explore_world_animals",
    "explore_world_music",
)
"""Whose pictures are photos; others have drawings, paintings and parts of pictures."""

LEAST_SIDE = 200
_BEGINS = re.compile(rb"\xff\xd8\xff|RIFF.{4}WEBP", re.DOTALL)


def pictures(resource: bytes) -> Iterator[bytes]:
    """The JPEG and WebP files in a Qt resource file."""
    for found in _BEGINS.finditer(resource):
        start = found.start()
        length = int.from_bytes(resource[max(0, start - 4) : start], "big")
        if 0 < length <= len(resource) - start:
            yield resource[start : start + length]


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(folder: Path, out: Path) -> None:
    """Writes the photos as PNG files."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for activity in ACTIVITIES:
        for path in folder.rglob(f"{activity}.rcc"):
            for number, content in enumerate(pictures(path.read_bytes())):
                try:
                    image = Image.open(io.BytesIO(content))
                    if image.mode != "RGB" or min(image.size) < LEAST_SIDE:  # cut-outs and icons
                        continue
                    image.save(out / f"{activity}-{number:03}.png")
                except OSError:
                    continue  # the bytes only looked like a picture
                count += 1
    click.echo(f"{count} photos in {out}")


if __name__ == "__main__":
    main()
