"""A result in Markdown, part by part."""

from collections.abc import Iterator
from typing import Any

from minillm.bench import bpe

Result = dict[str, Any]


def table(result: Result) -> str:
    """The tables of all parts that are there, each under the machine and the day it was measured on."""
    lines: list[str] = []
    last = ""
    for name, part in result.items():
        here = f"{part['machine']}; {part['threads']} threads; {part['date']}"
        if here != last:
            lines += [here, ""]
            last = here
        lines += [*ROWS[name](part["result"]), ""]
    lines.append("Rounds: " + ", ".join(f"{name} {part['rounds']}" for name, part in result.items()))
    return "\n".join(lines).rstrip()


def head(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def training(part: Result) -> Iterator[str]:
    peak = max(part["matmul_gflops"].values())
    yield f"float32 matrix products at best: {peak:.0f} GFLOP/s"
    yield ""
    yield from head("training", "tokens/s", "against transformers", "against it compiled", "GFLOP/s", "of the peak")
    for family, shapes in part["families"].items():
        for shape, rows in shapes.items():
            for name, r in rows.items():
                against = number(r.get("ratio")), number(r.get("ratio_compiled"))
                speed = f"{r['gflops']:.0f}", f"{r['gflops'] / peak:.0%}"
                yield row(f"{family} {shape}, {name}", f"{r['tokens_per_second']:,.0f}", *against, *speed)


def generation(part: Result) -> Iterator[str]:
    yield from head("generation, batch 1", "tokens/s", "against transformers")
    for family, shapes in part["families"].items():
        for shape, rows in shapes.items():
            for name, r in rows.items():
                yield row(f"{family} {shape}, {name}", f"{r['tokens_per_second']:,.0f}", number(r.get("ratio")))


def share(part: Result) -> Iterator[str]:
    yield from head("share of a training step in NumPy", *part)
    for name in next(iter(part.values())):
        yield row(name, *(f"{shares[name]:.0%}" for shares in part.values()))


def scaling(part: Result) -> Iterator[str]:
    yield from head("time grows", "from", "to", "exponent", "by arithmetic", "T² passes T at", "by arithmetic")
    titles = {
        "length": "training step over length",
        "width": "training step over width",
        "cached": "writing over length, with cache",
        "uncached": "writing over length, without",
    }
    for kind, laws in part.items():
        for name, law in laws.items():
            at = crossing(law), number(law.get("theory_takes_over"), ",.0f")
            span = f"{law['points'][0]}", f"{law['points'][-1]}"
            slope = f"{law['exponent']:.2f} ± {law['error']:.2f}"
            yield row(f"{titles[kind]}, {name}", *span, slope, f"{law['theory']:.2f}", *at)


def crossing(law: Result) -> str:
    """Where attention takes over, and between which numbers the rounds put it."""
    each = [at for at in law.get("takes_over_rounds", []) if at is not None]
    middle = number(law.get("takes_over"), ",.0f")
    return f"{middle} ({min(each):,.0f} to {max(each):,.0f})" if each else middle


def processes(part: Result) -> Iterator[str]:
    yield from head("processes x threads, pt", "tokens/s", "against one process")
    for shape, rows in part.items():
        for r in rows.values():
            who = f"{shape}, {r['processes']} x {r['threads']}"
            yield row(who, f"{r['tokens_per_second']:,.0f}", number(r["ratio"]))


def gpu(part: Result) -> Iterator[str]:
    if "left_out" in part:
        yield f"gpu: {part['left_out']}"
        return
    card, shape = part["card"], part["shape"]
    yield f"{card['name']}: {part['precision']} matrix products at best {card['peak_flops'] / 1e12:.1f} TFLOP/s"
    yield ""
    what = f"{shape['n_layer']} layers, {shape['d_model']} wide, context {shape['context']}"
    yield from head(f"GPT-2, {what}, {part['precision']}", "batch", "tokens/s", "MFU", "memory, GB")
    for name, r in part["rows"].items():
        memory = number(r["memory_bytes"] and r["memory_bytes"] / 1e9, ".1f")
        yield row(name, str(r["batch"]), f"{r['tokens_per_second']:,.0f}", f"{r['mfu']:.1%}", memory)


def byte_pairs(part: Result) -> Iterator[str]:
    against = f"against {bpe.LIBRARY}"
    yield from head(f"BPE, {bpe.MERGES:,} merges on 1 MB", "training, s", against, "encoding, MB/s", against)
    for text, rows in part.items():
        for name, r in rows.items():
            learning, encoding = (number(r.get(key)) for key in ("train_ratio", "encode_ratio"))
            shown = "minillm" if name == "bpe" else name
            speed = f"{r['training_seconds']:.2f}", learning, f"{r['encoding_mb_per_second']:.1f}", encoding
            yield row(f"{text}, {shown}", *speed)


ROWS = {
    "training": training,
    "generation": generation,
    "share": share,
    "scaling": scaling,
    "processes": processes,
    "gpu": gpu,
    "bpe": byte_pairs,
}
