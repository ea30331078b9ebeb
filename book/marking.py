"""What nbgrader does otherwise in this course. The nbgrader_config.py that classroom.py writes calls configure()."""

import os
import re
import sys
import warnings
from typing import Any

from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters.autograde import Autograde
from nbgrader.converters.generate_assignment import GenerateAssignment
from nbgrader.converters.generate_feedback import GenerateFeedback
from nbgrader.preprocessors import ClearSolutions, Execute, NbGraderPreprocessor, OverwriteCells
from nbgrader.utils import is_grade

from book.code import PLACEHOLDER, exercise

Step = tuple[NotebookNode, dict[str, Any]]


def configure(c: Any, course: str) -> None:
    """Settings of nbgrader, and of the kernels that it starts. course: the folder of the repository."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [course, os.environ.get("PYTHONPATH")]))
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # it calls alembic
    os.environ["MINILLM_PROGRESS"] = ""  # what students have solved is not the teacher's own progress
    warnings.filterwarnings("ignore", "Object of type", module="nbgrader")  # of its database, without consequence

    c.ClearSolutions.code_stub = {"python": "\n".join(PLACEHOLDER)}
    swap = {ClearSolutions: [LeaveStubs], OverwriteCells: [KnowCells, OverwriteCells], Execute: [FreshChecks]}

    def steps(usual: Any) -> list[type]:
        return [step for old in usual.default() for step in swap.get(old, [old])]

    c.GenerateAssignment.preprocessors = steps(GenerateAssignment.preprocessors)
    c.Autograde.sanitize_preprocessors = steps(Autograde.sanitize_preprocessors)
    c.Autograde.autograde_preprocessors = steps(Autograde.autograde_preprocessors)
    c.GenerateFeedback.preprocessors = [ShortErrors, *steps(GenerateFeedback.preprocessors)]
    c.IgnorePattern.enabled, c.IgnorePattern.pattern = True, "^"  # or a mere warning costs all points of a check


class LeaveStubs(ClearSolutions):
    """Release: a repair exercise keeps its broken code, any other gets the course's placeholder."""

    def _replace_solution_region(self, cell: NotebookNode, language: str) -> bool:
        before = cell.source
        cell.source = exercise(before)
        return cell.source != before


class KnowCells(NbGraderPreprocessor):
    """Autograde: a copy handed in from the course's own exercises/ is marked too; its cells have the same ids."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Step:
        place = resources["nbgrader"]
        with Gradebook(place["db_url"]) as gradebook:
            released = gradebook.find_notebook(place["notebook"], place["assignment"])
            locked = {cell.name: cell.locked for cell in released.source_cells}
            points = {cell.name: cell.max_score for cell in released.grade_cells}
            answers = {cell.name for cell in released.solution_cells}
        for cell in nb.cells:
            key = cell.get("id")
            if key in locked and "nbgrader" not in cell.metadata:
                grading = {"schema_version": 3, "grade_id": key, "cell_type": cell.cell_type, "locked": locked[key]}
                grading |= {"grade": key in points, "solution": key in answers, "task": False}
                cell.metadata["nbgrader"] = grading | ({"points": points[key]} if key in points else {})
        return nb, resources


class FreshChecks(Execute):
    """Autograde: each check cell has a checker of its own, whatever an answer has made of the name check."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict[str, Any], cell_index: int) -> Step:
        shown = cell.source
        made = re.search(r"^check = setup(\(.*\))$", "\n".join(each.source for each in self.nb.cells), re.MULTILINE)
        if made and is_grade(cell):
            cell.source = f"import exercises.checks; check = exercises.checks.lesson{made[1]}\n{shown}"
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        cell.source = shown
        return cell, resources


class ShortErrors(NbGraderPreprocessor):
    """Feedback: below a check that was not passed only what it says, without the way through the checker's code."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict[str, Any], cell_index: int) -> Step:
        for output in cell.get("outputs", []) if is_grade(cell) else []:
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources
