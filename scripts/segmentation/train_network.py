"""Train the segmentation network on real label maps, and pack its weights.

Run it again with the same arguments to go on after an interruption. With `--weights`, a training
starts from the weights of an earlier one under a schedule of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch

from headcond.segmentation.anatomy import Anatomy, load_anatomy, read_anatomy, save_anatomy
from headcond.segmentation.training import Schedule, train
from headcond.segmentation.weights import load_weights, read_card, save_weights

TRAINED = {
    "synthseg": ("01", "02", "03", "04", "05", "06", "07", "08", "10", "11"),
    "brainweb20": ("04", "05", "06", "18", "38", "41", "43", "44", "45", "48"),
}
HELD_BACK = {
    "synthseg": ("09", "12", "13", "14", "15"),
    "brainweb20": ("46", "49", "50", "52", "53"),
}
FILES = {
    "synthseg": "head_labels/training_seg_{}.nii.gz",
    "brainweb20": "brainweb20/brainweb_{}_crisp.nii.gz",
}


def anatomies(data: Path, cache: Path, heads: dict[str, tuple[str, ...]]) -> list[Anatomy]:
    """Read the heads, or what an earlier run made of them."""
    cache.mkdir(parents=True, exist_ok=True)
    out = []
    for source, numbers in heads.items():
        for number in numbers:
            path = data / FILES[source].format(number)
            made = cache / (path.name.split(".")[0] + ".npz")
            if not made.exists():
                save_anatomy(made, read_anatomy(path, source))
            out.append(load_anatomy(made))
    return out


def main() -> None:
    """Read the arguments, train, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the label maps")
    parser.add_argument("--state", type=Path, required=True, help="folder of the training's state")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--late-from", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--weights", type=Path, help="weights to start from")
    parser.add_argument("--out", type=Path, help="file of the trained weights")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("numba").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    cache = given.state.parent / "anatomies"
    schedule = Schedule(given.steps, given.learning_rate, late_from=given.late_from)
    network, history = train(
        anatomies(given.data, cache, TRAINED),
        schedule,
        given.state,
        seed=given.seed,
        held_back=anatomies(given.data, cache, HELD_BACK),
        validate_every=6,
        network=load_weights(given.weights) if given.weights else None,
    )
    given.state.joinpath("history.json").write_text(json.dumps(history, indent=1))
    if given.out:
        # Of the weights that this run started from, for the card of the packed ones.
        earlier = read_card(given.weights)["training"]["runs"] if given.weights else []
        facts = {"schedule": str(schedule), "history": history, "runs": earlier}
        save_weights(given.out, network, facts)


if __name__ == "__main__":
    main()
