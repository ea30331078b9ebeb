"""Drifts, seeded one by one into a built course: each turns the check red, with a line that says what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lesson_tree import SOURCE, edit, plant

from book.build import main
from book.source import Pair
from book.twins import differences

ZH, EN = "notebooks/zh/05_double.ipynb", "notebooks/en/05_double.ipynb"
EXERCISE = "exercises/en/05_double.ipynb"
MACHINE = "make lessons LESSON=05"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return plant(tmp_path_factory.mktemp("course"), build=True)


@pytest.fixture
def tree(built: Path, tmp_path: Path) -> Path:
    """A copy of the built course, to break."""
    return shutil.copytree(built, tmp_path / "course")


def in_source(before: str, after: str) -> Callable[[Path], None]:
    return lambda root: edit(root, SOURCE, before, after)


def in_file(place: str, before: str, after: str) -> Callable[[Path], None]:
    return lambda root: edit(root, place, before, after)


def move_twin(root: Path) -> None:
    """The English of "end" above the Chinese."""
    path = root / SOURCE
    head, _, zh = path.read_text(encoding="utf-8").partition('# %% [markdown] key="end" lang="zh"')
    zh, mark, en = zh.partition('# %% [markdown] key="end" lang="en"')
    path.write_text(head + mark + en + '\n# %% [markdown] key="end" lang="zh"' + zh, encoding="utf-8")


def exercise_run(root: Path) -> None:
    """An exercise notebook saved after somebody ran it."""
    path = root / EXERCISE
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "ex-half-check")
    cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": ["hello\n"]}]
    path.write_text(json.dumps(notebook), encoding="utf-8")


def code_hash(root: Path) -> str:
    return json.loads((root / ZH).read_text(encoding="utf-8"))["metadata"]["minillm"]["code"]


def swap_cells(root: Path) -> None:
    path = root / EN
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][2:4] = notebook["cells"][3:1:-1]
    path.write_text(json.dumps(notebook), encoding="utf-8")


# what drifts: the drift, then what one line of the check has to say: file, key, remedy
DRIFTS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "one English paragraph edited": (
        in_source("# One sentence.", "# A single sentence."),
        [SOURCE, '"end" (line 87)', "the English changed", "read the Chinese", "make reviewed LESSON=05 KEY=end"],
    ),
    "one Chinese paragraph edited": (
        in_source("# 写出三倍。", "# 请写出三倍。"),
        [SOURCE, '"ex-triple"', "the Chinese changed", "read the English", "make reviewed LESSON=05 KEY=ex-triple"],
    ),
    "the English title edited": (
        in_source("How much is it, doubled?", "How much is it when doubled?"),
        [SOURCE, '"title"', "the English changed", "make reviewed LESSON=05 KEY=title"],
    ),
    "a pasted function renamed": (
        in_file("minillm/ops.py", "def double", "def twice"),
        [SOURCE, '"listing"', "minillm/ops.py has no double any more", "write the name that it has now"],
    ),
    "a pasted function's module gone": (
        lambda root: (root / "minillm/ops.py").unlink(),
        [SOURCE, '"ex-double-code"', "there is no module minillm.ops", "name the one that holds double now"],
    ),
    "a pasted function changed": (
        in_file("minillm/ops.py", "return x * 2", "return x + x"),
        [ZH, '"listing"', f"{SOURCE}, line 31", MACHINE],
    ),
    "a cell missing in one language": (
        in_source('# %% [markdown] key="end" lang="en"\n# ## To keep\n#\n# One sentence.\n', ""),
        [SOURCE, '"end"', "no English twin below it", 'lang="en"'],
    ),
    "twins in the wrong order": (move_twin, [SOURCE, '"end"', "the English stands first", "put the Chinese above it"]),
    "a formula differs": (
        in_source(r"$L = -\ln p_{\text{right}}$", r"$L = \ln p_{\text{right}}$"),
        [SOURCE, '"problem"', "formula $L=-\\lnp_{\\text{}}$ stands once in Chinese, not at all in English"],
    ),
    "a link differs": (
        in_source("[notes](https://example.org/notes)", "[notes](https://example.org/note)"),
        [
            SOURCE,
            '"problem"',
            "the link https://example.org/note stands not at all in Chinese, once",
            "make them agree",
        ],
    ),
    "a code span differs": (
        in_source("with `math.log`", "with `math.log2`"),
        [SOURCE, '"problem"', "the code span `math.log2`", "make them agree"],
    ),
    "a heading's level differs": (
        in_source("# ## To keep", "# ### To keep"),
        [SOURCE, '"end"', "headings of levels [2] in Chinese, [3] in English", "make them agree"],
    ),
    "a term left out": (
        in_source("# Cross-entropy is", "# This loss is"),
        [SOURCE, '"problem"', 'the Chinese says "交叉熵"', "none of: cross-entropy", "book/glossary.csv"],
    ),
    "a term rendered wrongly": (
        in_source("# 交叉熵用", "# 交叉商用"),
        [SOURCE, '"problem"', 'the Chinese says "交叉商" for Cross-entropy', "write 交叉熵"],
    ),
    "a key twice": (
        in_source('key="listing-run"', 'key="naive"'),
        [SOURCE, '"naive" (line 34)', "the key stands twice", "give this cell another one"],
    ),
    "code changed without a build": (
        in_source("round(math.log(2), 3)", "round(math.log(3), 3)"),
        [EN, '"naive"', f"{SOURCE}, line 28", MACHINE],
    ),
    "a notebook's text edited by hand": (
        in_file(EN, "One sentence.", "One nice sentence."),
        [EN, '"end"', "change the lesson, not the notebook", MACHINE],
    ),
    "a notebook's output edited by hand": (
        in_file(EN, "logarithm 0.693", "logarithm 0.7"),
        [EN, '"naive"', "its output is not the one of notebooks/zh", MACHINE],
    ),
    "a notebook's tag removed by hand": (
        in_file(ZH, "nbval-check-output", "nbval-skip"),
        [ZH, '"naive"', "its metadata is not what", MACHINE],
    ),
    "outputs of other code": (
        lambda root: edit(root, ZH, code_hash(root), "0" * 16),
        [ZH, "its outputs belong to other code", MACHINE],
    ),
    "a solution that its check refused": (
        in_file("solutions/zh/05_double.ipynb", "✓ 检查 12", "✗ 检查 12"),
        ["solutions/zh/05_double.ipynb", '"ex-triple-check"', "did not pass", f"{MACHINE} ARGS=--force"],
    ),
    "a lesson never built": (
        lambda root: (root / "book/reviewed.json").write_text("{}"),
        [SOURCE, "the lesson was not built yet", MACHINE],
    ),
    "cells moved by hand": (swap_cells, [EN, '"imports"', "another order", MACHINE]),
    "a notebook deleted": (lambda root: (root / ZH).unlink(), [ZH, "was not built", MACHINE]),
    "a notebook damaged": (lambda root: (root / ZH).write_text("{"), [ZH, "no notebook any more", MACHINE]),
    "an exercise committed with outputs": (exercise_run, [EXERCISE, '"ex-half-check"', "without outputs", MACHINE]),
    "a notebook without a lesson": (
        lambda root: shutil.copy(root / ZH, root / "notebooks/zh/06_left.ipynb"),
        ["notebooks/zh/06_left.ipynb", "no lesson gives this notebook", "delete it"],
    ),
    "the header changed": (
        in_source("minutes: 10", "minutes: 15"),
        ["notebooks/course.json", "run: make lessons"],
    ),
    "a lesson needed that is not there": (
        in_source("needs: []", 'needs: ["03"]'),
        [SOURCE, "needs lesson 03, which is not there", "another number"],
    ),
    "a lesson deleted": (
        lambda root: (root / SOURCE).unlink(),
        ["book/reviewed.json", "lesson 05 is gone", "make lessons"],
    ),
    "a term defined twice": (
        in_file("book/glossary.csv", "熵,entropy", "交叉熵,entropy"),
        ["book/glossary.csv", '"交叉熵" stands in two lines', "join them"],
    ),
}


def test_an_untouched_course_is_green(tree: Path, capsys):
    assert main(["check"], tree) == 0
    assert capsys.readouterr().out == "1 lesson: sources, twins, notebooks and outputs agree.\n"


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_turns_the_check_red(name: str, tree: Path, capsys):
    drift, says = DRIFTS[name]
    drift(tree)
    assert main(["check"], tree) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(all(words in line for words in says) for line in lines), lines


def test_a_pair_stays_red_until_its_twin_changed_too(tree: Path, capsys):
    edit(tree, SOURCE, "# One sentence.", "# A single sentence.")
    assert main(["lessons"], tree) == 0
    assert "make check will say" in capsys.readouterr().out
    assert main(["check"], tree) == 1
    assert "KEY=end" in capsys.readouterr().out
    edit(tree, SOURCE, "# 一句话。", "# 就一句话。")
    assert main(["lessons"], tree) == 0
    assert main(["check"], tree) == 0


def test_a_pair_turns_green_when_somebody_read_it(tree: Path, capsys):
    edit(tree, SOURCE, "# One sentence.", "# A single sentence.")
    edit(tree, SOURCE, "# Write three times.", "# Write it three times.")
    assert main(["lessons"], tree) == 0
    assert main(["reviewed", "05", "end"], tree) == 0
    capsys.readouterr()
    assert main(["check"], tree) == 1
    out = capsys.readouterr().out
    assert "KEY=ex-triple" in out and "KEY=end" not in out
    assert main(["reviewed", "05"], tree) == 0
    assert main(["check"], tree) == 0


def test_white_space_alone_is_no_change(tree: Path):
    edit(tree, SOURCE, "# One sentence.", "# One\n# sentence.")
    assert main(["lessons"], tree) == 0
    assert main(["check"], tree) == 0


def test_reviewing_a_key_that_is_not_there_is_refused(tree: Path, capsys):
    assert main(["reviewed", "05", "nothing"], tree) == 2
    assert 'no cell "nothing" with text: there are title, problem' in capsys.readouterr().err
    assert main(["reviewed", "09"], tree) == 2
    assert "there is no lesson 09: there are 05" in capsys.readouterr().err


def test_a_link_may_lead_to_the_same_page_in_the_other_language():
    def differ(zh: str, en: str) -> list[str]:
        return differences(Pair("links", {"zh": f"[甲]({zh})", "en": f"[a]({en})"}, {"zh": 1, "en": 1}))

    assert not differ("../zh/05.ipynb", "../en/05.ipynb")
    assert not differ("../capstone/README.md", "../capstone/README.en.md")
    assert differ("../capstone/README.md", "../README.en.md")
