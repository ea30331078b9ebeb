"""Settings and fixtures that several test files share."""

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
TEXT = "我爱北京天安门，爷爷带我看升旗。\n小雨说：今天下雨，我们去北海看荷花吧！\n" * 40

settings.register_profile("minillm", deadline=None, max_examples=200)
settings.load_profile("minillm")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public corpora beside the checkout."""
    folder = ROOT.parent / "shared" / "data" / "mirror"
    if not folder.is_dir():
        pytest.skip(f"no public corpora at {folder}")
    return folder


@pytest.fixture(params=["np", "pt"])
def backend(request):
    """Each back-end in turn."""
    from minillm.backend import Backend

    if request.param == "pt":
        pytest.importorskip("torch")
    return Backend(request.param, "cpu")


@pytest.fixture(scope="session")
def text_file(tmp_path_factory) -> Path:
    """A small Chinese text."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The folder of a tiny run on TEXT: 6 steps, context 16. Copy it before changing it."""
    from minillm.backend import Backend
    from minillm.checkpoint import Run
    from minillm.config import preset
    from minillm.data.corpora import Corpus
    from minillm.text import train_tokenizer
    from minillm.train import train

    folder = tmp_path_factory.mktemp("runs") / "trained"
    tokenizer = train_tokenizer("char", [TEXT])
    shape = {"context": 16, "n_layer": 1, "d_model": 16, "batch_size": 4}
    model, recipe = preset("tiny", tokenizer.vocab_size, **shape, steps=6, eval_every=3)
    train(Corpus("text", [TEXT], [TEXT[:200]], [TEXT[:100]]), Run(model, recipe, tokenizer), Backend("np"), folder)
    return folder
