"""Results of the ladder: one JSON file, to which each run adds its corpora, and a table in Markdown.

    {"corpora": {name: {"machine", "date", "settings", "vocab_size", "characters", "documents", "unknown",
                        "floor": {"entropy", "this_text"} or null, "left_out": [lines],
                        "rungs": {rung: {"bits_per_char", "kind", "numbers", "cpu_seconds", ...}}}}}

`numbers` are a model's parameters, or the counts that it keeps. Those that stand in the README and in the lessons lie
in minillm/bench/results.
"""

import json
from pathlib import Path
from typing import Any

from minillm.errors import UserError
from minillm.text.files import read_text, write_text

FOLDER = Path(__file__).resolve().parent.parent / "bench" / "results"
JSON, PICTURE = "ladder.json", "ladder.png"
NAMES = {  # rung -> in Chinese, in English
    "uniform": ("均匀瞎猜", "uniform guess"),
    "unigram": ("单字频率", "unigram"),
    "bigram": ("双字频率", "bigram"),
    "KN 2": ("Kneser-Ney", "order 2"),
    "KN 3": ("Kneser-Ney", "order 3"),
    "KN 4": ("Kneser-Ney", "order 4"),
    "KN 5": ("Kneser-Ney", "order 5"),
    "LSTM": ("长短期记忆", "LSTM"),
    "GPT np": ("GPT", "NumPy"),
    "GPT pt": ("GPT", "PyTorch"),
}
CORPORA = {"reader": "读本", "world": "小世界", "tang": "全唐诗"}

Result = dict[str, Any]


def load(folder: Path = FOLDER) -> Result:
    """What a run has left in a folder. UserError: there is nothing, or it is no such file."""
    path = folder / JSON
    if not path.exists():
        raise UserError(f"there is no {path}: run python -m minillm.ladder --out {folder}")
    try:
        result = json.loads(read_text(path))
        if not all(entry["rungs"] for entry in result["corpora"].values()):
            raise ValueError("a corpus without rungs")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} holds no ladder ({error!r:.80}): remove it, or choose another --out") from error
    return result


def save(result: Result, folder: Path) -> None:
    """Write the file, all or nothing. UserError: the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another --out") from error
    write_text(folder / JSON, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def above_floor(bits: float, entry: Result) -> float | None:
    """By which part of the true entropy a model lies above it; None where it is not known."""
    return bits / entry["floor"]["entropy"] - 1 if entry["floor"] else None


def table(result: Result) -> str:
    """One table a corpus, in Markdown."""
    return "\n\n".join(_one_table(name, entry) for name, entry in result["corpora"].items())


def _one_table(name: str, entry: Result) -> str:
    size = entry["characters"]
    split = ", ".join(f"{size[split]:,} {split}" for split in ("train", "valid", "test"))
    lines = [
        f"{CORPORA.get(name, name)} {name}: characters {split}; {entry['vocab_size']:,} kinds of token; "
        f"{entry['settings']['minutes']:g} min of CPU; {entry['machine']}; {entry['date']}"
    ]
    lines += [
        "",
        "| rung | bits per character | above the floor | parameters or counts | CPU seconds | rate |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for rung, row in entry["rungs"].items():
        above = above_floor(row["bits_per_char"], entry)
        share = "-" if above is None else f"{above:.1%}"
        rate = f"{row['lr']:g}" if "lr" in row else "-"
        label = " ".join(NAMES[rung])
        cells = (label, f"{row['bits_per_char']:.3f}", share, f"{row['numbers']:,}", f"{row['cpu_seconds']:.1f}", rate)
        lines.append(f"| {' | '.join(cells)} |")
    if entry["floor"]:
        true = entry["floor"]
        lines.append(f"| 真实的熵 true entropy | {true['entropy']:.3f} | 0.0% | - | - | - |")
        lines += ["", f"What the test text at hand costs one who knows the grammar: {true['this_text']:.3f} bits."]
    lines += [f"\n{line}" for line in entry["left_out"]]
    return "\n".join(lines)
