"""Letting contenders take turns. Every round measures each once, one after the other, while the others sleep.

A ratio is the median over the rounds of (opponent's time / own time) in the same round: above 1 is faster. Absolute
speeds move with the machine's mood; such ratios hardly do.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from minillm.bench.tasks import Task

Seconds = dict[str, list[float]]


def say(message: str) -> None:
    """Progress, on standard error: standard output is for the table."""
    print(message, file=sys.stderr, flush=True)


class Contender:
    """A contender's process, or several that compute as one: they are asked together, the slowest counts."""

    def __init__(self, name: str, task: Task | str, copies: int = 1, threads: int = 0) -> None:
        self.task = task
        command = [sys.executable, "-m", "minillm.bench", "--serve", name]
        env = dict(os.environ) | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        if copies > 1:  # what torchrun tells its processes
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(copies)}
        self.processes = []
        for rank in range(copies):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(copies)} if copies > 1 else {}
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=env | own
            )
            self.processes.append(process)

    def ask(self, job: str, times: int = 1, task: Task | None = None) -> None:
        """Let it begin: `answer` waits for the end."""
        wanted = task or self.task
        line = json.dumps({"do": job, "times": times, "task": wanted.json() if isinstance(wanted, Task) else wanted})
        for process in self.processes:
            assert process.stdin
            process.stdin.write(line + "\n")
            process.stdin.flush()

    def answer(self) -> tuple[float, Any]:
        """Seconds and the value that the job returned. RuntimeError if a process has ended."""
        found = []
        for process in self.processes:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"its process ended with {process.wait()}")
            found.append(json.loads(line))
        return max(seconds for seconds, _ in found), found[0][1]

    def seconds(self, job: str, times: int = 1, task: Task | None = None) -> float:
        """How long doing the job that many times takes."""
        self.ask(job, times, task)
        return self.answer()[0]

    def value(self, job: str) -> Any:
        self.ask(job)
        return self.answer()[1]

    def close(self) -> None:
        for process in self.processes:
            assert process.stdin and process.stdout
            with suppress(BrokenPipeError):  # it may have ended already
                process.stdin.close()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def playing(contenders: dict[str, Contender], first: str) -> Iterator[dict[str, Contender]]:
    """Those that this environment has, each having done the job `first` once (compilers take their time then);
    the others are named with the reason on standard error."""
    players = dict(contenders)

    def drop(name: str, error: Exception) -> None:
        say(f"{name} is left out: {error} (see the message above)")
        players.pop(name).close()

    try:
        for name, contender in contenders.items():
            try:
                contender.ask(first)
            except OSError as error:
                drop(name, error)
        for name in list(players):
            try:
                players[name].answer()
            except RuntimeError as error:
                drop(name, error)
        yield players
    finally:
        for contender in players.values():
            contender.close()


def rounds(players: dict[str, Contender], job: str, times: int, count: int, task: Task | None = None) -> Seconds:
    """Seconds per contender and round, after one round to warm up. Each round begins with another contender."""
    seconds: Seconds = {name: [] for name in players}
    names = list(players)
    for i in range(count + 1):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            took = players[name].seconds(job, times, task)
            if i:
                seconds[name].append(took)
    return seconds


def times_for(players: dict[str, Contender], job: str, seconds: float, task: Task | None = None) -> int:
    """How often the job is done in a turn, for turns of about so many seconds on average."""
    once = [player.seconds(job, 2, task) / 2 for player in players.values()]
    return max(1, round(seconds * len(once) / sum(once))) if once else 1


def ratio(opponent: list[float], own: list[float]) -> float:
    return statistics.median(r / o for r, o in zip(opponent, own, strict=True))
