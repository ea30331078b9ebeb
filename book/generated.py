"""The cells that the build writes itself: title, set-up, the list of exercises."""

from book.course import Course
from book.source import Exercise, Lesson

BADGE = "https://colab.research.google.com/assets/colab-badge.svg"

SETUP = """\
# 找到课程；Colab 上没有，就先下载。可以重复运行。
# Find the course; on Colab, fetch it first. Safe to run twice.
import os
import sys
from pathlib import Path

here = Path.cwd()
places = [here, *here.parents, here / "MiniLLM", *map(Path, sys.path)]
course = next((place for place in places if (place / "minillm" / "__init__.py").is_file()), None)
if course is None:
    course = here / "MiniLLM"
    if os.system("git clone --depth 1 {address} MiniLLM"):
        raise SystemExit("没能下载课程，请检查网络和地址。 Could not fetch the course: check network and address.")
if str(course) not in sys.path:
    sys.path.insert(0, str(course))

from minillm.notebook import setup

check = setup("{lesson}", "{language}")"""

WORDS = {
    "zh": {
        "lesson": "课文",
        "exercise": "练习",
        "solution": "答案",
        "other": "English",
        "first": "先学",
        "minutes": "{} 分钟",
        "seconds": "从头跑到尾不到 {} 秒",
        "NP": "NP：只用 NumPy",
        "PT": "PT：要用 PyTorch",
        "GPU": "GPU：有显卡更好，没有就小规模地跑",
        "colab": "在 Colab 里打开",
        "gap": "　",
        "between": "：",
        "dot": "　·　",
        "table": "| 练习 | 类型 | 难度 | 分钟 |",
        "where": "在 [练习本]({exercise}) 里做，做完一题就运行它下面的检查格。想好了再看 [答案本]({solution})。",
        "predict": "预测",
        "repair": "改错",
        "implement": "实现",
        "extend": "拓展",
    },
    "en": {
        "lesson": "Lesson",
        "exercise": "Exercises",
        "solution": "Solutions",
        "other": "中文",
        "first": "first",
        "minutes": "{} minutes",
        "seconds": "runs top to bottom in under {} s",
        "NP": "NP: NumPy is enough",
        "PT": "PT: needs PyTorch",
        "GPU": "GPU: better with one, runs small without",
        "colab": "Open in Colab",
        "gap": " ",
        "between": ": ",
        "dot": " · ",
        "table": "| Exercise | Kind | Difficulty | Minutes |",
        "where": "Do them in the [exercise notebook]({exercise}) and run the check below each. "
        "The [solutions]({solution}) are for afterwards.",
        "predict": "predict",
        "repair": "repair",
        "implement": "implement",
        "extend": "extend",
    },
}
FOLDERS = {"lesson": "notebooks", "exercise": "exercises", "solution": "solutions"}


def setup_code(lesson: Lesson, language: str, course: Course) -> str:
    return SETUP.format(address=course.address, lesson=lesson.id, language=language)


def link(from_kind: str, to_kind: str, language: str, slug: str) -> str:
    """From any notebook of one kind to one of another, in the given language's folder."""
    if from_kind == to_kind:
        return f"../{language}/{slug}.ipynb"
    return f"../../{FOLDERS[to_kind]}/{language}/{slug}.ipynb"


def title(lesson: Lesson, kind: str, language: str, course: Course) -> str:
    """The question, what it takes, the way to the other notebooks, the Colab badge."""
    words = WORDS[language]
    heading = f"# {lesson.id}{words['gap']}{lesson.title[language]}"
    there = link(kind, kind, "en" if language == "zh" else "zh", lesson.slug)
    links = [f"[{words['other']}]({there})"]
    others = ["lesson", "exercise", "solution"] if lesson.exercises() else ["lesson"]
    links += [f"[{words[name]}]({link(kind, name, language, lesson.slug)})" for name in others if name != kind]
    facts = [words["minutes"].format(lesson.minutes), words[lesson.runs]]
    if kind == "lesson":
        facts.insert(1, words["seconds"].format(lesson.seconds))
        question = lesson.question[language]
    else:
        heading += words["between"] + (words[kind] if language == "zh" else words[kind].lower())
        minutes = sum(exercise.answer.minutes for exercise in lesson.exercises())
        facts = [words["minutes"].format(minutes), words[lesson.runs]]
        question = ""
    needs = [_need(need, language, course) for need in lesson.needs]
    if needs and kind == "lesson":
        facts.append(f"{words['first']} {'、'.join(needs) if language == 'zh' else ', '.join(needs)}")
    badge = f"[![{words['colab']}]({BADGE})]({colab(lesson, kind, language, course)})"
    parts = [heading, f"**{question}**" if question else "", words["dot"].join(facts), words["dot"].join(links), badge]
    return "\n\n".join(part for part in parts if part)


def colab(lesson: Lesson, kind: str, language: str, course: Course) -> str:
    path = course.address.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{path}/blob/main/{FOLDERS[kind]}/{language}/{lesson.slug}.ipynb"


def _need(number: str, language: str, course: Course) -> str:
    """A lesson that comes first, with its link once it is written."""
    for lesson in course.lessons:
        if lesson.id == number:
            return f"[{number} {lesson.title[language]}]({lesson.slug}.ipynb)"
    return number


def dots(difficulty: int) -> str:
    return "●" * difficulty + "○" * (5 - difficulty)


def exercise_list(lesson: Lesson, language: str) -> str:
    """What stands in the lesson in place of its exercises."""
    words = WORDS[language]
    rows = [_row(number, exercise, words, language) for number, exercise in enumerate(lesson.exercises(), start=1)]
    places = {kind: link("lesson", kind, language, lesson.slug) for kind in ("exercise", "solution")}
    table = "\n".join([words["table"], "|---|---|---|---|", *rows])
    return f"## {words['exercise']}\n\n{table}\n\n{words['where'].format(**places)}"


def _row(number: int, exercise: Exercise, words: dict[str, str], language: str) -> str:
    answer = exercise.answer
    cells = [f"{number}. {exercise.title[language]}", words[answer.kind], dots(answer.difficulty), str(answer.minutes)]
    return f"| {' | '.join(cells)} |"
