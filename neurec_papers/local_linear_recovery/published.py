"""The configuration and the results of the published program, `config.yaml` and `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurec_core.foreign import Configuration, FileFormat
from neurec_core.params import BadInput, received, unknown
from neurec_core.values import whole

if TYPE_CHECKING:
    import pandas as pd

FIELDS = {
    "experiment.device": "device",
    "data.input_dim": "d",
    "data.train_size": "n",
    "data.test_size": "test_size",
    "training.lr": "step",
    "training.max_steps": "steps",
    "training.tol": "tolerance",
    "training.weight_decay": "weight_decay",
    "init.std": "init",
}
# Words of the program, and ours.
CHOICES = {
    "model.type": ("architecture", {"mlp": "fc", "cnn_shared": "ws", "cnn_noshare": "ns"}),
    "training.optimizer": ("optimizer", {"sgd": "gd", "adam": "adam"}),
}
OTHERS = ("experiment.name", "experiment.seed", "sweep.enabled", "sweep.sample_sizes")
SIZES = (5, 10, 20, 50, 100, 200)  # of a sweep whose configuration names none


def asked(config: Mapping[str, Any]) -> Configuration:
    """Parameters, axes and seed that a configuration asks for; keys that it leaves out have our defaults.

    `experiment.name` labels a run of the program and changes nothing. A sweep takes all three models at each size.
    """
    fixed = {field: config[key] for key, field in FIELDS.items() if key in config}
    for key, (field, words) in CHOICES.items():
        if key in config:
            if not isinstance(config[key], str) or config[key] not in words:
                raise BadInput(unknown(key, config[key], words))
            fixed[field] = words[config[key]]
    axes: dict[str, Any] = {}
    enabled = config.get("sweep.enabled", False)
    if not isinstance(enabled, bool):
        raise BadInput(f"sweep.enabled (whether to sweep) must be true or false, got {received(enabled)}")
    if enabled:
        sizes = config.get("sweep.sample_sizes", SIZES)
        if not isinstance(sizes, list | tuple) or not sizes:
            raise BadInput(
                f"sweep.sample_sizes (training points) must be a list of whole numbers, got {received(sizes)}"
            )
        axes = {"architecture": list(CHOICES["model.type"][1].values()), "n": list(sizes)}
    return Configuration(fixed, axes, whole("experiment.seed", "seed of every draw", config.get("experiment.seed", 0)))


def results(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One record per trial in the program's words; `trial` counts the draws of a seed."""
    models = {ours: theirs for theirs, ours in CHOICES["model.type"][1].items()}
    return [
        {
            "model": models[row["architecture"]], "train_size": row["n"], "seed": row["seed"], "trial": row["trial"],
            "lr": row["step"], "steps": row["taken"] and int(row["taken"]),
            "train_mse": row["train"], "test_mse": row["test"],
        }
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    ]  # fmt: skip


HMKT = FileFormat(asked, (*FIELDS, *CHOICES, *OTHERS), results)
