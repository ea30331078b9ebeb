"""How a step is computed changes speed and memory, not the result: precision, compiler, parts, recomputation.

And what goes wrong is said in one line, with the last checkpoint whole. (Several processes: test_scale_processes.py.)
"""

import math
import re
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from processes import ENV

torch = pytest.importorskip("torch")

from minillm import checkpoint  # noqa: E402
from minillm import train as training  # noqa: E402
from minillm.backend import Backend  # noqa: E402
from minillm.checkpoint import Run  # noqa: E402
from minillm.config import ModelConfig, TrainConfig, preset  # noqa: E402
from minillm.data.batches import document_starts, random_batch, window_places  # noqa: E402
from minillm.data.corpora import Corpus  # noqa: E402
from minillm.errors import UserError  # noqa: E402
from minillm.flops import flops_per_token  # noqa: E402
from minillm.np.gpt import GPT as NumpyGPT  # noqa: E402
from minillm.pt import functional as F  # noqa: E402
from minillm.pt.engine import Engine, pick_precision  # noqa: E402
from minillm.pt.gpt import GPT  # noqa: E402
from minillm.pt.mfu import matrix_peak  # noqa: E402
from minillm.pt.train import Trainer  # noqa: E402
from minillm.saver import LOCK  # noqa: E402
from minillm.text import train_tokenizer  # noqa: E402
from minillm.train import Silent, train  # noqa: E402

TEXT = "我爱北京天安门，爷爷带我看升旗。\n小雨说：今天下雨，我们去北海看荷花吧！\n" * 40
TOKENIZER = train_tokenizer("char", [TEXT])
CORPUS = Corpus("text", [TEXT], [TEXT[:120]], [TEXT[:100]])
SHAPE = {"vocab_size": 51, "context": 12, "n_layer": 2, "n_head": 2, "d_model": 16}
MODERN = {
    "norm": "rmsnorm",
    "position": "rotary",
    "activation": "swiglu",
    "qk_norm": True,
    "n_kv_head": 1,
    "bias": False,
}
CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA card")


def new_trainer(engine=None, dtype=torch.float64, device="cpu", optimizer="adamw", **shape) -> Trainer:
    model = GPT(ModelConfig(**SHAPE | shape), rng=np.random.default_rng(0), dtype=dtype, device=device)
    return Trainer(model, TrainConfig(steps=12, batch_size=8, warmup=2, optimizer=optimizer), engine)


def learn(trainer: Trainer, steps: int = 6) -> np.ndarray:
    """Losses and gradient norms of steps on batches whose rows have different numbers of targets."""
    rng, out = np.random.default_rng(1), []
    for step in range(steps):
        x = rng.integers(0, 51, (8, 12))
        y = np.where(rng.random((8, 12)) < np.linspace(0, 1, 8)[:, None], np.roll(x, -1, 1), -1)
        result = trainer.step(x, y, step)
        out.append((result.loss, result.grad_norm))
    return np.array(out)


def new_run(steps=6, eval_every=2, **changes) -> Run:
    shape = {"context": 16, "n_layer": 1, "d_model": 16, "batch_size": 4}
    return Run(*preset("tiny", TOKENIZER.vocab_size, **shape | changes, steps=steps, eval_every=eval_every), TOKENIZER)


class Says(Silent):
    """Keeps what a person would be told; a Ctrl-C comes at step `stop`."""

    def __init__(self, stop=0):
        self.lines, self.stop = [], stop

    def note(self, line):
        self.lines.append(line)

    def step(self, record):
        if record["step"] == self.stop:
            signal.raise_signal(signal.SIGINT)


def go(folder, run=None, engine=None, reporter=None, backend="pt"):
    resume = (folder / checkpoint.CONFIG).exists()
    run = checkpoint.load_run(folder) if resume else run
    engine = engine or (Engine(device="cpu") if backend == "pt" else None)
    return train(CORPUS, run, Backend(backend, engine=engine), folder, resume=resume, reporter=reporter)


def curve(folder):
    return [(r["step"], r["loss"], r.get("valid_loss"), r.get("grad_norm")) for r in checkpoint.read_log(folder)]


# ---------------------------------------------------------------------- the same result


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_parts_of_a_batch_add_up_to_it(optimizer):
    whole = learn(new_trainer(optimizer=optimizer), 12)
    for parts in (2, 8):
        ours = learn(new_trainer(Engine(accumulate=parts), optimizer=optimizer), 12)
        np.testing.assert_allclose(ours, whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [{}, MODERN], ids=["gpt-2", "modern"])
@pytest.mark.parametrize("parts", [1, 2])
def test_recomputed_blocks_have_the_same_gradients(shape, parts):
    """With dropout, which must be drawn again as it was."""
    kept, again = (
        new_trainer(Engine(accumulate=parts, recompute=recompute), dropout=0.3, **shape) for recompute in (False, True)
    )
    np.testing.assert_array_equal(learn(again), learn(kept))
    for ours, theirs in zip(again.model.parameters(), kept.model.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_recomputation_keeps_less():
    """Only what goes into each block is kept for the backward."""

    def kept(recompute):
        trainer, sizes = new_trainer(Engine(recompute=recompute), n_layer=4), []

        def pack(x):
            sizes.append(x.numel())
            return x

        ids = torch.zeros(2, 12, dtype=torch.long)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            trainer.model(ids)
        return sum(sizes)

    assert kept(True) < 0.4 * kept(False)


def test_dropout_of_a_whole_batch_is_what_it_was():
    """One process and one part: from (seed, step) alone, as in runs made before there were parts."""
    seed = np.random.SeedSequence([0, 5]).generate_state(1, np.uint64)[0]
    known = torch.Generator().manual_seed(int(seed))
    assert torch.equal(new_trainer().generator(5).get_state(), known.get_state())
    parts = new_trainer(Engine(accumulate=2))
    draws = {tuple(torch.rand(4, generator=parts.generator(5, i)).tolist()) for i in range(2)}
    assert len(draws) == 2


def test_windows_begin_where_they_are_said_to():
    tokens = np.random.default_rng(0).integers(0, 9, 400)
    for starts in (None, document_starts(tokens, 16, 3)):
        x, _ = random_batch(tokens, 16, 8, 1, 2, starts)
        places = window_places(tokens, 16, 8, 1, 2, starts)
        np.testing.assert_array_equal(x, tokens[places[:, None] + np.arange(16)])


# ---------------------------------------------------------------------- precision


@pytest.mark.parametrize("shape", [{}, MODERN], ids=["gpt-2", "modern"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_float32(precision, shape):
    """Products are rounded, so it is not equal; weights, gradients and the loss stay float32."""
    trainer, dtypes = new_trainer(Engine(precision=precision), torch.float32, **shape), []
    trainer.model.blocks[0].ffn.linear1.register_forward_hook(lambda module, args, out: dtypes.append(out.dtype))
    exact, ours = learn(new_trainer(dtype=torch.float32, **shape)), learn(trainer)
    size = {"bf16": 3e-2, "fp16": 4e-3}[precision]
    assert 0 < np.abs(ours / exact - 1).max() < size
    assert set(dtypes) == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert {p.dtype for p in trainer.model.parameters()} == {p.grad.dtype for p in trainer.model.parameters()}
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}


def test_the_precision_that_a_device_is_built_for(monkeypatch):
    cpu, card, mps = (torch.device(name) for name in ("cpu", "cuda", "mps"))
    assert pick_precision("auto", cpu) == pick_precision("auto", mps) == "fp32"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    for native, auto in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert pick_precision("auto", card) == auto
        assert pick_precision("fp32", card) == "fp32"
    with pytest.raises(UserError, match="Tesla T4 does not compute in bf16: use --precision fp16"):
        pick_precision("bf16", card)


def test_a_step_that_overflows_in_fp16_changes_nothing_but_the_scale():
    trainer = new_trainer(Engine(precision="fp16"), torch.float32)
    trainer.load_state({"scale": 2.0**30, "_growth_tracker": 5})
    before = {name: p.clone() for name, p in trainer.model.state_dict().items()}
    x = np.random.default_rng(0).integers(0, 51, (8, 12))
    result = trainer.step(x, x, 0)
    assert result.skipped and math.isfinite(result.loss) and not math.isfinite(result.grad_norm)
    assert trainer.state() == {"scale": 2.0**29, "_growth_tracker": 0}
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.state_dict().items())
    assert trainer.optimizer.steps == 0
    trainer.load_state({"scale": 2.0**10, "_growth_tracker": 0})
    result = trainer.step(x, x, 1)
    assert not result.skipped and math.isfinite(result.grad_norm)
    assert trainer.optimizer.steps == 1


def test_fp16_goes_on_as_it_would_have(tmp_path, monkeypatch):
    """Scale, its growth and the steps it skipped are in the checkpoint: bit for bit the run that was not stopped."""
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda *a, **k: scaler(*a, **k, init_scale=2.0**20, growth_interval=3))
    engine = Engine(device="cpu", precision="fp16")
    go(tmp_path / "whole", new_run(steps=12), engine)
    go(tmp_path / "halves", new_run(steps=12), engine, Says(stop=5))
    skipped = [record["step"] for record in checkpoint.read_log(tmp_path / "halves") if record.get("skipped")]
    assert skipped and max(skipped) < 5
    go(tmp_path / "halves", engine=engine)
    assert curve(tmp_path / "halves") == curve(tmp_path / "whole")
    ours, theirs = ((tmp_path / name / checkpoint.CHECKPOINT).read_bytes() for name in ("halves", "whole"))
    assert ours == theirs


def test_overflows_one_after_the_other_end_the_run(tmp_path, monkeypatch):
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda *a, **k: scaler(*a, **k, init_scale=2.0**100))
    with pytest.raises(UserError, match="overflowed in 20 steps one after the other, up to step 20: use --precision"):
        go(tmp_path / "run", new_run(steps=40, eval_every=10), Engine(device="cpu", precision="fp16"))
    go(tmp_path / "run")  # in float32, from the last checkpoint
    log = checkpoint.read_log(tmp_path / "run")
    assert [r["step"] for r in log if r.get("skipped")] == list(range(1, 11)) and log[-1]["step"] == 40


# ---------------------------------------------------------------------- torch.compile


def test_what_the_compiler_gets_is_the_same_function():
    compiled = torch.compile(partial(F.gelu, approximate="tanh"), backend="eager", fullgraph=True)
    x = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    (ours,), (theirs,) = (torch.autograd.grad(f(x).sum(), x) for f in (compiled, partial(F.gelu, approximate="tanh")))
    torch.testing.assert_close(compiled(x), F.gelu(x, "tanh"), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ["swiglu", "gelu", "gelu_tanh"])
def test_a_compiled_step(activation, monkeypatch, tmp_path):
    """The graph is taken and used; what turns it into machine code is left out here, as it takes its time."""
    real, used = torch.compile, []

    def compile(model):
        def counted(graph, inputs):
            used.append(graph)
            return graph.forward

        return real(model, backend=counted)

    monkeypatch.setattr(torch, "compile", compile)
    says = Says()
    go(tmp_path / "eager", new_run(activation=activation))
    go(tmp_path / "compiled", new_run(activation=activation), Engine(device="cpu", compile=True, accumulate=1), says)
    assert len(used) == 1  # one graph, without a break; validation and samples use the model as it is
    assert "fp32, compiled, 1 process" in says.lines[0] and len(says.lines) == 1
    np.testing.assert_allclose(
        [row[1:] for row in curve(tmp_path / "compiled") if row[2]],
        [row[1:] for row in curve(tmp_path / "eager") if row[2]],
        rtol=1e-5,
    )


@pytest.mark.parametrize("when", ["at once", "in the backward"])
def test_without_a_compiler_training_goes_on(when, monkeypatch, tmp_path):
    def compile(model):
        def broken(*arguments, **options):
            if when == "at once":
                raise RuntimeError("Compiler: cl is not found.\nlong explanation")
            out = model(*arguments, **options)
            out.register_hook(lambda grad: 1 / 0)
            return out

        return broken

    monkeypatch.setattr(torch, "compile", compile)
    says = Says()
    go(tmp_path / "eager", new_run())
    go(tmp_path / "run", new_run(), Engine(device="cpu", compile=True), says)
    assert len(says.lines) == 2 and "\n" not in says.lines[1]
    assert re.search(r"torch.compile does not work here \(.+\); training goes on without it", says.lines[1])
    assert curve(tmp_path / "run") == curve(tmp_path / "eager")


def test_dropout_is_not_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model: pytest.fail("compiled"))
    says = Says()
    go(tmp_path / "run", new_run(dropout=0.1), Engine(device="cpu", compile=True), says)
    assert "not compiled (dropout draws from a generator of its own" in says.lines[0]


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("backend", ["np", "pt"])
@pytest.mark.parametrize("place", ["loss", "gradient"])
def test_a_number_that_is_none(place, backend, tmp_path, monkeypatch):
    """Said with step and place in the text; nothing is written any more, and the run can go on."""
    folder, run = tmp_path / "run", new_run(steps=6, eval_every=2)
    go(folder, run, reporter=Says(stop=4), backend=backend)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    tokens = CORPUS.tokens(TOKENIZER)
    places = window_places(tokens, 16, 4, 0, 4)
    x, _ = random_batch(tokens, 16, 4, 0, 4)
    kind = NumpyGPT if backend == "np" else GPT
    with monkeypatch.context() as patch:
        if place == "loss":  # one row of step 5's batch gives it

            def spoilt(self, ids, *arguments, real=kind.forward, **options):
                out = real(self, ids, *arguments, **options)
                rows = np.flatnonzero((np.asarray(ids)[:, None] == x[None, 2]).all(-1).any(1)) if ids.ndim == 2 else []
                (out[0] if backend == "np" else out)[rows] = math.nan
                return out

            patch.setattr(kind, "forward", spoilt)
            says = rf"the loss became nan at step 5: .* give no number begin at tokens {places[2]} of the text"
        else:
            module = f"minillm.{backend}.train"
            wrong = torch.tensor(math.inf) if backend == "pt" else math.inf
            patch.setattr(f"{module}.clip_grad_norm", lambda *arguments: wrong)
            listed = ", ".join(map(str, places))
            says = rf"the gradient's norm became inf at step 5: .* it comes from begin at tokens {listed} of the text"
        with pytest.raises(UserError, match=says + "; the checkpoint of step 4 is whole"):
            go(folder, backend=backend)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert go(folder, backend=backend).steps == 6


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), "CPU: not enough memory"]
)
@pytest.mark.parametrize("room", [2, 1, 0])
def test_out_of_memory_says_what_would_fit(room, error, tmp_path, monkeypatch):
    real = GPT.forward

    def forward(self, ids, *arguments, **options):
        if torch.is_grad_enabled() and len(ids) > room:
            raise RuntimeError(error) if isinstance(error, str) else error
        return real(self, ids, *arguments, **options)

    monkeypatch.setattr(GPT, "forward", forward)
    run = new_run(batch_size=12)
    says = {
        2: "12 sequences of 16 tokens at a time: use --accumulate 6, the same batch of 12 in parts of 2",
        1: "use --accumulate 12, the same batch of 12 in parts of 1",
        0: "12 sequences of 16 tokens at a time: use --recompute, a shorter --context or a smaller model",
    }[room]
    with pytest.raises(UserError, match=f"not enough memory on cpu for .*{says}.* the last checkpoint is whole"):
        go(tmp_path / "run", run)
    if room:
        assert go(tmp_path / "run", engine=Engine(device="cpu", accumulate=12 // room)).steps == 6


def test_another_training_in_the_folder(tmp_path):
    """Is refused while one is at work, whoever began it; one that was killed holds nothing."""
    folder, refused = tmp_path / "run", []

    class Meddles(Silent):
        def step(self, record):
            if record["step"] == 3:
                with pytest.raises(
                    UserError, match=r"another training is at work in .*run: wait until it ends"
                ) as caught:
                    go(folder)
                refused.append(caught.value)

    go(folder, new_run(), reporter=Meddles())
    assert refused and not (folder / LOCK).exists()
    code = f"""
import os
from pathlib import Path
from minillm.ranks import Ranks
from minillm.saver import alone_in
with alone_in(Path({str(folder)!r}), Ranks()):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], env=ENV, check=False).returncode == 9
    assert (folder / LOCK).exists()
    run = checkpoint.load_run(folder)
    run.train = TrainConfig(**{**vars(run.train), "steps": 8})
    assert train(CORPUS, run, Backend("np"), folder, resume=True).steps == 8


def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    def no_locks(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("minillm.saver.locked", no_locks)
    assert go(tmp_path / "run", new_run()).steps == 6


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"precision": "fp8"}, "precision is 'fp8'; choose one of auto, fp32, bf16, fp16"),
        ({"parallel": "tensor"}, "parallel is 'tensor'; choose one of ddp, fsdp"),
        ({"accumulate": 0}, "accumulate is 0; it must be at least 1"),
    ],
)
def test_settings_that_make_no_sense(settings, says):
    with pytest.raises(UserError, match=re.escape(says)):
        Engine(**settings)


def test_a_batch_that_does_not_divide(tmp_path):
    with pytest.raises(UserError, match="a batch of 4 does not divide into 3 parts: use a --batch-size that is a mult"):
        go(tmp_path / "run", new_run(), Engine(device="cpu", accumulate=3))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"compile": True}, {"recompute": True, "accumulate": 2}])
def test_numpy_has_no_engine(settings):
    with pytest.raises(UserError, match=f"NumPy has no .*{next(iter(settings))}.*: use --backend pt, or leave it out"):
        Backend("np", engine=Engine(**settings))


def test_numpy_trains_in_one_process(tmp_path, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="NumPy trains in one process: use --backend pt under torchrun"):
        go(tmp_path / "run", new_run(), backend="np")


# ---------------------------------------------------------------------- what is shown


def test_arithmetic_of_a_token():
    """GPT-2, 124 million: 6 N + 12 L H K T by hand. A peak is a rate that this machine reaches."""
    shape = {"n_layer": 12, "n_head": 12, "d_model": 768, "context": 1024}
    config = ModelConfig(vocab_size=50257, **shape)
    weights = 50257 * 768 + 12 * 12 * 768**2
    assert flops_per_token(config) == 6 * weights + 12 * 12 * 768 * 1024
    untied = ModelConfig(vocab_size=50257, **shape, tied=False, position="rotary", activation="swiglu", n_kv_head=4)
    block = 768 * (768 + 2 * 256 + 768) + 3 * 768 * untied.d_ff
    assert flops_per_token(untied) == 6 * (50257 * 768 + 12 * block) + 12 * 12 * 768 * 1024
    assert 1e8 < matrix_peak(torch.device("cpu"), "fp32", 0.05) < 1e15


def test_tensorboard(tmp_path, capsys, text_file):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from minillm.cli import main

    command = ["train", "--data", str(text_file), "--preset=tiny", "--steps=4", "--eval-every=2"]
    command += ["--backend=pt", "--device=cpu", "--tensorboard", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    assert "fp32, not compiled, 1 process, a batch of 8 as 1 x 1 x 8, fused AdamW\n" in capsys.readouterr().err
    assert (
        main(["train", "--resume", "--backend=pt", "--steps=6", "--tensorboard", "--out", str(tmp_path / "run")]) == 0
    )
    seen = events.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    log = checkpoint.read_log(tmp_path / "run")
    names = {"loss/train": "loss", "loss/validation": "valid_loss", "learning rate": "lr", "gradient norm": "grad_norm"}
    for name, key in {**names, "tokens a second": "tokens_per_second"}.items():
        ours = [(event.step, event.value) for event in seen.Scalars(name)]
        assert ours == [(r["step"], pytest.approx(r[key], rel=1e-6)) for r in log if key in r], name
    assert all(0 < event.value < 2 for event in seen.Scalars("MFU"))
    assert [event.step for event in seen.Tensors("sample/text_summary")] == [2, 4, 6]


def test_without_tensorboard(tmp_path, monkeypatch, text_file, capsys):
    from minillm.cli import main

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert (
        main(["train", "--data", str(text_file), "--tensorboard", "--backend=pt", "--out", str(tmp_path / "run")]) == 2
    )
    assert "pip install torch tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------- on a card


@CARD
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
def test_a_card_learns_as_the_processor_does(precision):
    if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this card has no bf16")
    exact = learn(new_trainer(dtype=torch.float32))
    for engine in (Engine(precision=precision), Engine(precision=precision, accumulate=4, recompute=True)):
        ours = learn(new_trainer(engine, torch.float32, device="cuda"))
        assert np.abs(ours / exact - 1).max() < 5e-2


@CARD
def test_a_card_compiles(tmp_path):
    says = Says()
    for name, engine in {"eager": Engine(), "compiled": Engine(compile=True)}.items():
        go(tmp_path / name, new_run(steps=8), engine, says)
    assert len(says.lines) == 2 and "fused AdamW" in says.lines[1], says.lines
    ours, theirs = (np.array([r["loss"] for r in checkpoint.read_log(tmp_path / n)]) for n in ("eager", "compiled"))
    np.testing.assert_allclose(ours, theirs, rtol=2e-2)


@CARD
def test_a_card_that_is_too_small_says_what_fits(tmp_path):
    """All but a little of the card's memory is taken away; the advice is then true."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(1.2e9 / total)
    try:
        run = new_run(steps=2, d_model=64, batch_size=8192, n_layer=4)
        with pytest.raises(UserError, match="use --accumulate") as caught:
            go(tmp_path / "run", run, Engine(precision="fp32"))
        parts = int(re.search(r"--accumulate (\d+)", str(caught.value)).group(1))
        assert go(tmp_path / "run", engine=Engine(precision="fp32", accumulate=parts)).steps == 2
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_every_engine_setting_can_be_given_on_the_command_line():
    from minillm.cli import parser

    options = parser().parse_args(["train", "--accumulate=2", "--compile", "--recompute", "--precision=fp16"])
    assert {name: getattr(options, name) for name in vars(Engine())} == {
        **{"device": "auto", "precision": "fp16", "compile": True, "accumulate": 2, "recompute": True},
        "parallel": "ddp",
    }
    assert training.OVERFLOWS == 20
