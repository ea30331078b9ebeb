"""Where a training step in NumPy spends its time."""

import cProfile
import pstats
from typing import Any

from minillm.bench.tasks import Task, recipe

# Operation -> the functions that belong to it, with all that they call. Attention contains its softmax.
OPERATIONS = {
    "linear": ("linear", "linear_backward"),
    "attention": ("scaled_dot_product_attention", "scaled_dot_product_attention_backward"),
    "gelu": ("gelu", "gelu_backward"),
    "layer_norm": ("layer_norm", "layer_norm_backward"),
    "cross_entropy": ("cross_entropy", "cross_entropy_backward"),
    "embedding": ("embedding", "embedding_backward"),
    "optimizer": ("clip_grad_norm", "update"),
}


def share_of_time(task: Task, steps: int) -> dict[str, float]:
    """Fractions by operation, of steps by one copy of the model on one core."""
    from minillm.backend import Backend
    from minillm.np.train import Trainer

    trainer = Trainer(Backend("np").gpt(task.config), recipe(), copies=1)
    x, y = task.ids()
    trainer.step(x, y, 0)
    with cProfile.Profile() as profile:
        for step in range(steps):
            trainer.step(x, y, step)
    stats: Any = pstats.Stats(profile)
    cumulative: dict[str, float] = {}
    for (_, _, function), (_, _, _, seconds, _) in stats.stats.items():
        cumulative[function] = cumulative.get(function, 0.0) + seconds
    shares = {name: sum(cumulative.get(f, 0.0) for f in group) / stats.total_tt for name, group in OPERATIONS.items()}
    return shares | {"other": 1 - sum(shares.values())}
