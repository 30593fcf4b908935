"""The controller of `edgeeff search` beside random sampling, with the same budget, on the same images.

    python -m edgeeff.benchmarks.against.search --trials 100

Each search is the whole command: propose, estimate the latency, train, reward. The two samplers take turns, seed by
seed; both train with the same seed, so that a network's accuracy is the same in each. The latency is the estimate of
one model, fitted to measured networks of the space before the first search, so that the machine's load favours
neither. A run that was stopped goes on with the same command.

"Best" is the highest reward of the first N trials: mean over seeds and standard deviation. What is picked as the best
of many is partly luck, so the winners are trained anew with other seeds; that reward is the fair one.

T is where a search is worth having: `--target-ms` is met by some tenth of what chance proposes.

The digits are scikit-learn's, which ships them: 1797 of 8 x 8 px, ten classes. They are written to build/digits-1797.
They are not mirrored in training: a mirrored digit is none.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from edgeeff.files import replacing
from edgeeff.report._table import Column, Table, text

SAMPLERS = ("tpe", "random")
SPACE = ("--blocks", "4", "--depth", "0.5", "--width", "0.5", "--resolution", "16", "--no-mirror")
RECIPE = ("--epochs", "5", "--batch", "32", "--learning-rate", "0.2")

LAST = 20
"""Of the trials, those that say what a sampler has learnt: their mean does not grow with luck as their best does."""


@click.command()
@click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, default=range(5), help="Default: 0 to 4.")
@click.option("--trials", type=click.IntRange(2), default=100, show_default=True, help="Of each search.")
@click.option("--target-ms", type=float, default=0.0045, show_default=True)
@click.option("--w", default="hard", show_default=True, help="As for edgeeff search.")
@click.option("--retrain", type=click.IntRange(0), default=5, show_default=True, help="Trainings of each winner.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Searches at once.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/against/search"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with every trial.")
def main(
    seeds: Sequence[int],
    trials: int,
    target_ms: float,
    w: str,
    retrain: int,
    jobs: int,
    out: Path,
    as_json: bool,
) -> None:
    """Runs the searches, and compares the best reward after so many trials."""
    digits = _digits(Path("build"))
    out.mkdir(parents=True, exist_ok=True)
    shared = ["--train", str(digits), "--target-ms", str(target_ms), "--w", w, "--out", str(out), *SPACE, *RECIPE]
    runs = [(sampler, seed) for seed in dict.fromkeys(seeds) for sampler in SAMPLERS]
    first, seed = runs[0]
    _search(first, seed, 1, shared, out)  # fits the latency model that all share
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda run: _search(run[0], run[1], trials, shared, out), runs))
    by_sampler = {name: [found[i] for i, run in enumerate(runs) if run[0] == name] for name in SAMPLERS}
    fair = {name: [_retrained(one, digits, target_ms, w, retrain) for one in by_sampler[name]] for name in SAMPLERS}
    if as_json:
        click.echo(json.dumps({"searches": by_sampler, "retrained": fair}))
        return
    rewards = {
        name: [[trial["reward"] or 0.0 for trial in one["trials"]] for one in by_sampler[name]] for name in SAMPLERS
    }
    click.echo(text(Table(_columns(), list(_rows(rewards, trials)))))
    for name in SAMPLERS:
        trained = [[reward for reward in one[-LAST:] if reward] for one in rewards[name]]
        slow, last = [LAST - len(one) for one in trained], [statistics.mean(one or [0.0]) for one in trained]
        click.echo(
            f"the last {LAST} trials of {name}: {statistics.mean(slow):.1f} too slow to win and not trained, mean "
            f"reward of the others {_spread(last)}"
        )
    if retrain:
        for name in SAMPLERS:
            click.echo(f"winners of {name}, trained {retrain} times anew: reward {_spread(fair[name])}")


def _digits(parent: Path) -> Path:
    """scikit-learn's digits as PNG files, a folder a class, in a folder that is named after their number."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    data = load_digits()
    folder = parent / f"digits-{len(data.images)}"
    for index, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        path = folder / str(label) / f"{index:04}.png"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                Image.fromarray(np.uint8(image * 15.9)).convert("RGB").save(temporary, "png")
    return folder


def _search(sampler: str, seed: int, trials: int, shared: Sequence[str], out: Path) -> dict[str, Any]:
    """One search to its end; what it says goes to a file beside it."""
    name = f"{sampler}-{seed}"
    command = [sys.executable, "-m", "edgeeff", "search", *shared, "--predict", str(out / "models")]
    command += ["--sampler", sampler, "--seed", str(seed), "--study", name, "--trials", str(trials)]
    command += ["--storage", f"sqlite:///{(out / name).resolve()}.sqlite", "--json"]
    with (out / f"{name}.log").open("a", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{name} failed with {done.returncode}: see {log.name}")
    document: dict[str, Any] = json.loads(done.stdout)
    # A study may have more than were asked for, from an earlier run; a network that came again cost nothing.
    fresh = [trial for trial in document["trials"] if not trial["repeated"]]
    return {**document, "trials": fresh[:trials]}


def _retrained(found: dict[str, Any], digits: Path, target_ms: float, w: str, times: int) -> float:
    """Mean reward of a winner over trainings with seeds that the search did not use."""
    from edgeeff.codec import decode
    from edgeeff.objective import objective, parse_exponents
    from edgeeff.search.networks import Description, family_of
    from edgeeff.training import Recipe, find, train

    if not times:
        return float("nan")
    best = max(found["trials"], key=lambda trial: (trial["reward"] or 0.0, -trial["latency_s"]))
    network = decode(Description, {**found["winner"], "blocks": best["blocks"]})
    variant, family = family_of(network)
    options = dict(zip(RECIPE[::2], RECIPE[1::2], strict=True))
    sizes = int(options["--epochs"]), int(options["--batch"]), float(options["--learning-rate"])
    images, exponents = find(digits), parse_exponents(w)
    rewards = []
    for seed in range(1000, 1000 + times):
        top1 = train(variant, family, images, Recipe(*sizes, seed, mirrored=False))[1]
        rewards.append(objective(top1, best["latency_s"], target_ms / 1e3, exponents))
    return statistics.mean(rewards)


def _columns() -> list[Column]:
    names = ["trials", "best by tpe", "best by random", "difference", "tpe ahead, seeds"]
    return [Column(name, "decimal") for name in names]


def _rows(rewards: dict[str, list[list[float]]], trials: int) -> list[list[str]]:
    """The best after N trials."""
    counts = sorted({*(20 * i for i in range(1, 1 + trials // 20)), min(10, trials), trials})
    rows = []
    for count in counts:
        best = {name: [max(one[:count]) for one in rewards[name]] for name in SAMPLERS}
        differences = [a - b for a, b in zip(best["tpe"], best["random"], strict=True)]
        ahead = sum(difference > 0 for difference in differences)
        cells = [str(count), _spread(best["tpe"]), _spread(best["random"]), _spread(differences, "+")]
        rows.append([*cells, f"{ahead} of {len(differences)}"])
    return rows


def _spread(values: Sequence[float], sign: str = "") -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):{sign}.3f} ({deviation:.3f})"


if __name__ == "__main__":
    main()
