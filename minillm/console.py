"""What the command line shows of a training: a progress bar, validation losses, samples. All on standard error."""

import sys
from typing import Any

from minillm.train import Silent


class Console(Silent):
    """Reports a training to a person, `heading` first, once it does start; `quiet` shows nothing."""

    def __init__(self, quiet: bool = False, heading: str = "") -> None:
        self.quiet, self.heading = quiet, heading
        self.bar: Any = None

    def say(self, line: str) -> None:
        """One line, above the bar if there is one."""
        if self.quiet:
            return
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)

    def start(self, first: int, last: int) -> None:
        if not self.quiet:
            self.say(self.heading)
            from tqdm import tqdm

            # disable=None: no bar where nobody watches, so that a log file holds whole lines only
            self.bar = tqdm(total=last, initial=first, unit="step", dynamic_ncols=True, file=sys.stderr, disable=None)

    def note(self, line: str) -> None:
        self.say(line)

    def step(self, record: dict[str, Any]) -> None:
        if self.bar is not None:
            rate = record["tokens_per_second"]
            self.bar.set_postfix_str(f"loss {record['loss']:.3f}, {rate:,.0f} tokens/s", refresh=False)
            self.bar.update()

    def validation(self, step: int, loss: float, better: bool, sample: str) -> None:
        self.say(f"step {step:5d}  validation {loss:.3f}{' *' if better else '  '}  {' '.join(sample.split())}")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
