"""A lesson's source: read into cells and exercises, its breaches named, its code as each notebook shows it."""

from pathlib import Path

import pytest
from lesson_tree import LESSON, SOURCE, edit, plant

from book import code, source
from book.course import ROOT
from book.source import Code, Pair


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path / "course")


def test_a_lesson_is_read(tree: Path):
    lesson, faults = source.read(tree / SOURCE, tree)
    assert lesson and not faults
    assert (lesson.id, lesson.minutes, lesson.runs, lesson.needs) == ("05", 10, "NP", [])
    pair = next(cell for cell in lesson.cells if cell.key == "problem")
    assert isinstance(pair, Pair) and pair.text["en"].startswith("## See the problem first\n\nCross-entropy")
    imports = next(cell for cell in lesson.cells if cell.key == "imports")
    assert isinstance(imports, Code) and imports.both and imports.code == "import math"
    lines = LESSON.splitlines()
    for cell in lesson.cells:
        assert f'key="{cell.key}"' in lines[cell.line - 1]


def test_its_exercises_are_found(tree: Path):
    lesson, _ = source.read(tree / SOURCE, tree)
    assert lesson
    triple, half, double = lesson.exercises()
    assert triple.title == {"zh": "三倍", "en": "Three times"} and half.title == {"zh": "改好它", "en": "Mend it"}
    assert (double.name, double.answer.kind, double.answer.difficulty, double.answer.minutes) == (
        "double",
        "implement",
        5,
        9,
    )
    assert double.check.code == "check(double)"


BREACHES = [
    ("seconds: 5", "second: 5", "the header needs  seconds: a whole number above 0"),
    ("runs: NP", "runs: TPU", "runs: one of NP, PT, GPU"),
    ("needs: []", "needs: [5]", "with the numbers in quotes"),
    ("needs: []", 'needs: ["07"]', "lessons before this one"),
    (', en: "Doubling and cross-entropy"', "", "the header needs  title:"),
    ("# minillm:", "# lesson:", "the file does not begin with a header"),
    ("#   minutes: 10", "#  minutes: 10", "the header is no YAML"),
    ('check = setup("05")', 'check = setup("06")', 'this cell says  check = setup("05")'),
    ('# %% key="naive"', "# %%", 'the cell has no key: write  # %% key="a-name"'),
    ('key="naive"', 'key="Naive run"', "a key holds only small letters, digits and -"),
    ('key="naive"', 'key="exercises"', "this key belongs to a generated cell"),
    ('key="naive"', 'key="naive" colour="red"', "unknown attribute colour"),
    ('tags=["nbval-check-output"]', 'tags=["nbval-skip"]', "take the tag nbval-skip out"),
    ('key="end" lang="zh"', 'key="end"', 'lang="zh" or lang="en"'),
    ("difficulty=2", "difficulty=6", "difficulty is a number from 1 to 5"),
    ('kind="extend"', 'kind="enlarge"', "kind is one of predict, repair, implement, extend"),
    ("points=3", "", "points is a whole number above 0"),
    ("    ### END SOLUTION\n\n\n", "\n\n", "the markers do not match"),
    ("    # if x:", "    if x:", "every line between ### BEGIN STUB and ### END STUB begins with #"),
    ("ops import double  # stub", "ops import double", "no answer to take out"),
    (
        'key="ex-half-check" exercise="half"',
        'key="ex-half-check"',
        'exercise "half" ends with the cell that calls check',
    ),
    ("# ### 练习 1　三倍\n#\n", "", 'the task of exercise "triple" has no heading in both languages'),
    ('lang="en" exercise="half"', 'lang="en"', "the twins name different exercises"),
]


@pytest.mark.parametrize(("before", "after", "says"), BREACHES, ids=[breach[2] for breach in BREACHES])
def test_a_breach_of_the_rules_is_named(tree: Path, before: str, after: str, says: str):
    edit(tree, SOURCE, before, after)
    lesson, faults = source.read(tree / SOURCE, tree)
    assert lesson is None
    assert any(says in str(fault) for fault in faults), faults
    assert all(str(fault).startswith(SOURCE) for fault in faults)


def test_a_marker_at_the_margin_would_stop_the_exercise():
    assert "outside of a function" in code.marker_fault("### BEGIN SOLUTION\nx = 1\n### END SOLUTION")
    stub = "### BEGIN STUB\n# x = None\n### END STUB"
    assert "stands directly below" in code.marker_fault(f"    ### BEGIN SOLUTION\n    ### END SOLUTION\n\n{stub}")
    assert not code.marker_fault(f"### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n{stub}")


# ---- the code of the cells


def test_source_is_pasted_as_it_stands(tree: Path):
    want = 'def double(x):\n    """Twice x."""\n    # a comment of the body\n    return x * 2'
    assert code.expand("from minillm.ops import double  # paste", tree) == want
    assert code.expand("import math\nfrom minillm.ops import FACTOR, double  # paste", tree) == (
        f"import math\nFACTOR = 2\n\n\n{want}"
    )
    assert code.expand("import math\n\nfrom minillm.ops import double  # paste", tree) == f"import math\n\n\n{want}"


def test_a_name_is_followed_to_where_it_is_defined(tree: Path):
    (tree / "minillm/more.py").write_text("from minillm.ops import double as twice\nfrom minillm.ops import double\n")
    assert code.package_source(tree, "minillm.more", "double").startswith("def double")


def test_a_stub_keeps_signature_and_docstring(tree: Path):
    text = code.expand("from minillm.ops import double  # stub", tree)
    placeholder = "    # 在这里写你的代码 your code here\n    raise NotImplementedError"
    assert code.exercise(text) == f'def double(x):\n    """Twice x."""\n{placeholder}'
    assert code.solution(text) == code.expand("from minillm.ops import double  # paste", tree)


@pytest.mark.parametrize("name", ["softmax_backward", "linear", "cross_entropy"])
def test_stub_and_source_of_the_real_package(name: str):
    text = code.expand(f"from minillm.np.functional import {name}  # stub", ROOT)
    assert code.solution(text) == code.package_source(ROOT, "minillm.np.functional", name)
    stub = code.exercise(text)
    assert stub.endswith("raise NotImplementedError") and "return" not in stub
    compile(stub, name, "exec")


def test_a_repair_exercise_gets_its_broken_code(tree: Path):
    lesson, _ = source.read(tree / SOURCE, tree)
    assert lesson
    text = next(cell.code for cell in lesson.cells if cell.key == "ex-half-code" and isinstance(cell, Code))
    assert code.exercise(text) == "def half(x):\n    if x:\n        return x // 2"
    assert code.solution(text) == "def half(x):\n    return x / 2"
