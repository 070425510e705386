"""When does training find the target? Test errors against sample size and width, for three architectures."""

from __future__ import annotations

from neurec_core.experiment import Experiment, Grid
from neurec_core.params import param

from .targets import CITATION, guide, output_bias
from .training import COLUMNS, Training, sample, score, solve

ARCHITECTURES = ["ws", "ns", "fc"]


class SampleSweep(Training):
    """The paper's main figure. What it leaves open, steps, step size and end, is as in the defaults."""


class HmktSweep(Training):
    """The protocol of the HMKT code: output biases, a step size of 0.1, at most 20,000 steps, an end at 1e-10."""

    n: int = param(20, "training points", ge=1, le=100_000, slider=(5, 200, 5))
    step: float = param(0.1, "step size", symbol="h", gt=0, le=100, slider=(0.05, 0.5, 0.05))
    steps: int = param(20_000, "most steps", ge=0, le=1_000_000_000)
    tolerance: float = param(1e-10, "training error at which training ends", ge=0, le=1)
    output_bias: bool = output_bias(True)


EVERY = list(range(1, 64))
SIZES = [5, 10, 20, 50, 100, 200]
POLISHED = {"polish": True, "steps": 5000}

SAMPLE_SWEEP = Experiment(
    name="local_linear_recovery.sample_sweep",
    question="From how many points does training find the target, and how does that depend on the width?",
    params=SampleSweep,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"architecture": ["ws", "fc"], "n": [6, 9]}, 3, {"steps": 2000}),
        "quick": Grid(
            {"architecture": ARCHITECTURES, "factor": [1, 3], "n": list(range(2, 43, 4))}, 4, {"steps": 20_000}
        ),
        "paper": Grid({"architecture": ARCHITECTURES, "factor": [1, 3, 10], "n": EVERY}, 50, published=10),
        "paper_wide": Grid({"architecture": ARCHITECTURES, "factor": [34, 100], "n": EVERY}, 50, published=3),
        "polished": Grid({"architecture": ARCHITECTURES, "factor": [1, 3, 10], "n": EVERY}, 50, POLISHED, published=10),
        "near_the_rank": Grid({"n": [5, 6, 7, 8]}, 200, POLISHED, published=200),
        "step_sizes": Grid(
            {"architecture": ARCHITECTURES, "step": [0.05, 0.1, 0.3, 0.4, 0.5], "n": EVERY}, 50, published=3
        ),
    },
    citation=CITATION,
    guides=tuple(guide(name, True, False) for name in ARCHITECTURES),
    batch=10,
)

HMKT_SWEEP = Experiment(
    name="local_linear_recovery.hmkt_sweep",
    question="What does a protocol with few sample sizes, few steps and a loose end say?",
    params=HmktSweep,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"architecture": ["ws", "fc"], "n": [5, 20]}, 3, {"steps": 1000}),
        "quick": Grid({"architecture": ARCHITECTURES, "n": SIZES}, 5),
        "paper": Grid({"architecture": ARCHITECTURES, "factor": [1, 10], "n": SIZES}, 20, published=20),
        "paper_adam": Grid(
            {"architecture": ARCHITECTURES, "factor": [1, 10], "n": SIZES},
            20,
            {"optimizer": "adam", "step": 0.01},
            published=20,
        ),
        "float32": Grid(
            {"architecture": ARCHITECTURES, "factor": [1, 10], "n": SIZES}, 20, {"precision": "float32"}, published=5
        ),
    },
    citation=CITATION,
    batch=10,
)
