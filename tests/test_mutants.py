"""Every mistake of mutants.py, put into a copy of the package, turns a test red that is green without it.

The tests run in a process of their own, which imports the copy; where the copy came from is checked.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

from conftest import ROOT
from minillm.np.replicas import CAN_FORK

NEED_TORCH = ("test_optim.py", "test_muon.py", "test_parity.py")  # files skipped as a whole without it
RUN = """
import json, sys
import minillm, pytest

errors = set()

def note(error):
    if isinstance(error, BaseExceptionGroup):  # Hypothesis found several failures
        for part in error.exceptions:
            note(part)
    else:
        errors.add(type(error).__name__)

class Plugin:
    def pytest_exception_interact(self, call):
        note(call.excinfo.value)

code = pytest.main(sys.argv[1:], plugins=[Plugin()])
print()
print(json.dumps([int(code), minillm.__file__, sorted(errors)]))
"""


@dataclass
class Result:
    code: int  # pytest's: 0 all passed, 1 a test failed, the others: nothing was tested
    errors: list[str]  # the types of what was raised
    report: str


def copy_package(folder: Path) -> Path:
    """The package without the texts it carries."""
    return shutil.copytree(ROOT / "minillm", folder / "minillm", ignore=shutil.ignore_patterns("files", "__pycache__"))


def run_tests(package: Path, node_ids: Iterable[str]) -> Result:
    """Run tests with `package` as minillm, Hypothesis seeded, up to the first failure."""
    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "hypothesispytest", "--hypothesis-seed=0"]
    settings = {"PYTHONPATH": str(package.parent), "PYTHONIOENCODING": "utf-8", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | settings
    done = subprocess.run(
        [sys.executable, "-c", RUN, *options, *(str(ROOT / "tests" / node_id) for node_id in node_ids)],
        **{"cwd": package.parent, "env": env, "capture_output": True, "encoding": "utf-8", "timeout": 120},
    )
    try:
        code, file, errors = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        pytest.fail(f"the tests did not run:\n{done.stdout}{done.stderr}")
    assert Path(file).parent.samefile(package), f"the tests imported {file}, not the copy"
    return Result(code, errors, done.stdout)


def can_run(mutant: Mutant) -> bool:
    if "[processes" in mutant.caught_by and not CAN_FORK:
        return False
    return find_spec("torch") is not None or not mutant.caught_by.startswith(NEED_TORCH)


@pytest.fixture(params=MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def mutant(request: pytest.FixtureRequest) -> Mutant:
    return request.param


def test_the_list_is_long_and_has_no_name_twice():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25


def test_the_right_text_stands_once_in_its_file(mutant):
    source = (ROOT / "minillm" / mutant.file).read_text(encoding="utf-8")
    for right, wrong in mutant.changes.items():
        assert right != wrong
        assert source.count(right) == 1, (
            f"minillm/{mutant.file} holds {right!r} {source.count(right)} times: bring the mutant "
            f"{mutant.name!r} in tests/mutants.py up to date with the code"
        )


def test_without_a_mutant_the_tests_pass(tmp_path):
    """All of them in one run: what turns them red below is the mutant."""
    node_ids = sorted({mutant.caught_by for mutant in MUTANTS if can_run(mutant)})
    result = run_tests(copy_package(tmp_path), node_ids)
    assert result.code == 0, result.report


def test_the_mutant_is_caught(mutant, tmp_path):
    if not can_run(mutant):
        pytest.skip("needs torch, or processes")
    package = copy_package(tmp_path)
    file = package / mutant.file
    source = file.read_text(encoding="utf-8")
    for right, wrong in mutant.changes.items():
        source = source.replace(right, wrong)
    file.write_text(source, encoding="utf-8")
    result = run_tests(package, [mutant.caught_by])
    assert result.code != 0, f"{mutant.caught_by} does not notice: {mutant.name}"
    assert (result.code, result.errors) == (1, [mutant.error]), result.report
