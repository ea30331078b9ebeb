"""All tasks by name: each draws one example, from a generator and a split."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm.data.world.pairs import pair
from minillm.data.world.questions import preference, question
from minillm.data.world.records import article, record
from minillm.data.world.service import dialogue, review
from minillm.data.world.stories import story
from minillm.errors import UserError

TASKS: dict[str, Callable[..., Any]] = {
    "stories": story,
    "pairs": pair,
    "questions": question,
    "dialogues": dialogue,
    "reviews": review,
    "titles": article,
    "triples": record,
    "preferences": preference,
}


def examples(task: str, rng: np.random.Generator, split: str | None = None) -> Iterator[Any]:
    """Examples of a task without end. UserError: there is no such task."""
    if task not in TASKS:
        raise UserError(f"the world has no task {task!r}; choose one of {', '.join(TASKS)}")
    return (TASKS[task](rng, split) for _ in iter(int, 1))
