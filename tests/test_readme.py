"""What the front pages promise is there: every lesson, every link, every make target; and one address for all."""

import json
import re
import subprocess

import pytest

from conftest import ROOT

PAGES = ["README.md", "README.en.md", "CONTRIBUTING.md", "book/teaching/teaching.zh.md", "book/teaching/teaching.en.md"]
COURSE = json.loads((ROOT / "notebooks" / "course.json").read_text(encoding="utf-8"))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "language"), [("README.md", "zh"), ("README.en.md", "en")])
def test_the_readme_lists_every_lesson(page, language):
    for lesson in COURSE["lessons"]:
        row = f"[{lesson['id']} {lesson['title'][language]}](notebooks/{language}/{lesson['slug']}.ipynb)"
        assert row in read(page), f"{page}: the table of lessons lacks {row}"
        assert lesson["question"][language] in read(page)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", read(page))
    assert links
    for link in links:
        assert link.startswith("http") or ((ROOT / page).parent / link).exists(), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_make_has_every_target_that_is_named(page):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\n)make ([a-z-]+)", read(page)))
    assert named
    assert named <= targets, named - targets


def test_the_address_stands_in_one_hand_written_place():
    where = subprocess.run(
        ["git", "grep", "-lF", COURSE["address"]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if where.returncode > 1:
        pytest.skip("no git checkout")
    built = ("notebooks/", "exercises/zh/", "exercises/en/", "solutions/")
    assert [place for place in where.stdout.split() if not place.startswith(built)] == ["pyproject.toml"]
