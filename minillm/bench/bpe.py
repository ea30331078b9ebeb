"""Byte-pair encoding beside the `tokenizers` library (Rust): the same documents, cut the same way, as many merges.

The text is a megabyte of Chinese. The world's stories are there on every machine, but a grammar repeats itself, and
training goes by distinct chunks: they hold a fifth of its bytes. Of Tang poems it is three quarters, so that real
text is measured too where `minillm data get tang` has brought it, or MINILLM_MIRROR names a place that has it.
"""

import statistics
from collections.abc import Callable
from typing import Any

from minillm.bench.turns import Contender, playing, ratio, rounds
from minillm.text.bpe import CHUNK, FIRST_MERGE, BPETokenizer

LIBRARY = "tokenizers"
MERGES = 2000
MEGABYTE = 10**6
Job = Callable[[int], Any]


def texts_at_hand() -> list[str]:
    """The names of the texts that can be measured on this machine without the network."""
    from minillm.data import catalogue, download

    fetched = download.report(catalogue.find("tang"))["state"] == "ok"
    return ["world", "tang"] if fetched or download.mirror() else ["world"]


def documents(name: str) -> list[str]:
    """A megabyte of whole documents."""
    from minillm.data.corpora import load_corpus
    from minillm.data.world import corpus

    found, size = [], 0
    for text in (corpus(500_000) if name == "world" else load_corpus(name)).train:
        if size >= MEGABYTE:
            break
        found.append(text)
        size += len(text.encode())
    return found


def measure(text: str, count: int) -> dict[str, Any]:
    """Seconds to learn the merges from a text, and megabytes of it encoded in a second."""
    size = sum(len(document.encode()) for document in documents(text))
    with playing({name: Contender(name, text) for name in ("bpe", LIBRARY)}, "train") as players:
        names = list(players)
        taken = {job: rounds(players, job, times, count) for job, times in (("train", 1), ("encode", 2))}
    results: dict[str, Any] = {}
    for name in names:
        learning, encoding = (taken[job][name] for job in ("train", "encode"))
        results[name] = {
            "training_seconds": statistics.median(learning),
            "encoding_mb_per_second": 2 * size / statistics.median(encoding) / 1e6,
            "seconds": {"train": learning, "encode": encoding},
        }
        if LIBRARY in names:
            for job, own in (("train", learning), ("encode", encoding)):
                results[name][f"{job}_ratio"] = ratio(taken[job][LIBRARY], own)
    return results


def ours(name: str) -> dict[str, Job]:
    """minillm: pure Python."""
    texts = documents(name)
    merges = train_ours(texts).merges

    def train(times: int) -> None:
        for _ in range(times):
            train_ours(texts)

    def encode(times: int) -> None:
        for _ in range(times):
            tokenizer = BPETokenizer(merges)  # a new one: nothing is known from the last time
            for text in texts:
                tokenizer.encode(text)

    return {"train": train, "encode": encode}


def library(name: str) -> dict[str, Job]:
    """The `tokenizers` library, on as many cores as it likes."""
    from tokenizers import Tokenizer

    texts = documents(name)
    trained = train_library(texts).to_str()

    def train(times: int) -> None:
        for _ in range(times):
            train_library(texts)

    def encode(times: int) -> None:
        for _ in range(times):
            Tokenizer.from_str(trained).encode_batch_fast(texts)

    return {"train": train, "encode": encode}


def train_ours(texts: list[str]) -> BPETokenizer:
    return BPETokenizer.train(texts, FIRST_MERGE + MERGES)


def train_library(texts: list[str]) -> Any:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CHUNK.pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
