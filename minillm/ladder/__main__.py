"""python -m minillm.ladder: from the blind guess to the Transformer, in bits per character of the same test text.

Counting models take all of the training text. The models that learn get the same number of parameters and the same
minutes of CPU each, in one thread. Results are kept as JSON, one entry a corpus, and drawn.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from minillm.bench.__main__ import machine
from minillm.errors import UserError
from minillm.ladder import results
from minillm.ladder.count import counted
from minillm.ladder.learn import climb, learners
from minillm.ladder.text import QUICK, Settings, floor, read, why_absent

CORPORA = ("reader", "world", "tang")
EXAMPLES = """examples:
  python -m minillm.ladder                                      reader, world, and tang if it has been fetched
  python -m minillm.ladder --corpora world --minutes 5
  python -m minillm.ladder --draw --out minillm/bench/results   the picture and the table of what is there"""


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(name: str, settings: Settings) -> results.Result:
    """All rungs on one corpus. UserError: no such corpus, or it is too short."""
    text = read(name, settings)
    about = text.describe()
    sizes = ", ".join(f"{split} {size:,}" for split, size in about["characters"].items())
    say(f"{name}: {sizes} characters, a vocabulary of {text.vocab_size:,}")
    rungs: dict[str, dict[str, Any]] = {}

    def reached(rung: str, row: dict[str, Any]) -> None:
        rungs[rung] = row
        kind = "parameters" if row["kind"] == "learnt" else "counts"
        say(
            f"  {row['bits_per_char']:7.3f} bits per character  {rung}, "
            f"{row['numbers']:,} {kind}, {row['cpu_seconds']:.1f} s of CPU"
        )

    for rung, row in counted(text):
        reached(rung, row)
    able, left_out = learners()
    for learner in able:
        reached(learner.name, climb(learner, text, settings, say))
    true = floor(text)
    if true:
        say(f"  {true['entropy']:7.3f} bits per character  the true entropy")
    stamp = {"machine": machine(), "date": datetime.date.today().isoformat(), "settings": asdict(settings)}
    return stamp | about | {"floor": true, "left_out": left_out, "rungs": rungs}


def climb_all(names: Sequence[str], settings: Settings, folder: Path) -> results.Result:
    """Measure the corpora that are here, and save after each; what the folder holds of others stays."""
    here = []
    for name in names:
        if line := why_absent(name):
            say(line)
        else:
            here.append(name)
    if not here:
        raise UserError("none of these corpora is here")
    each = settings.minutes * len(here) * len(learners()[0])
    least, most = (each * (1 + settings.sweep * count) for count in (len(settings.rates), settings.most_rates))
    say(f"learning takes {least:.1f} to {most:.1f} minutes of CPU; validation and tests come on top")
    result = results.load(folder) if (folder / results.JSON).exists() else {"corpora": {}}
    for name in here:
        measured = result["corpora"] | {name: measure(name, settings)}
        order = [*CORPORA, *measured]
        result = {"corpora": dict(sorted(measured.items(), key=lambda item: order.index(item[0])))}
        results.save(result, folder)
    return result


def draw(result: results.Result, folder: Path) -> None:
    """The picture; without matplotlib a line that says so."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        say("no picture: pip install matplotlib zhplot")
        return
    from minillm.ladder.chart import plot_ladder
    from minillm.viz import save_figure

    save_figure(plot_ladder(result), folder / results.PICTURE)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m minillm.ladder",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "--corpora",
        nargs="+",
        default=list(CORPORA),
        metavar="NAME",
        help="names or files; by default reader world tang",
    )
    options.add_argument("--minutes", type=float, help="CPU minutes for each model that learns (default: 2)")
    options.add_argument("--out", type=Path, default=Path("runs/ladder"), help="folder of ladder.json and ladder.png")
    options.add_argument("--json", action="store_true", help="print the results as JSON instead of tables")
    options.add_argument("--draw", action="store_true", help="measure nothing: draw what --out holds")
    options.add_argument(
        "--quick", action="store_true", help="tiny models and texts, some seconds: to see that it works"
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 0, or 2 after an error that the user can put right."""
    o = parser().parse_args(arguments)
    settings = QUICK if o.quick else Settings()
    try:
        if o.minutes is not None:
            if not 0 < o.minutes < float("inf"):
                raise UserError(f"minutes is {o.minutes}; it must be above 0")
            settings = replace(settings, minutes=o.minutes)
        result = results.load(o.out) if o.draw else climb_all(o.corpora, settings, o.out)
        draw(result, o.out)
    except UserError as error:
        say(f"ladder: {error}")
        return 2
    except KeyboardInterrupt:
        say("stopped; the corpora that were finished are kept")
        return 130
    print(json.dumps(result, ensure_ascii=False) if o.json else results.table(result))
    say(f"saved in {o.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
