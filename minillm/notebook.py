"""The first cell of every notebook: `check = setup("05", "zh")`.

It installs what is missing and small, lets pictures write Chinese, and hands out the lesson's checker. It may be run
any number of times, in JupyterLab, VS Code and Colab alike.
"""

import importlib
import logging
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SMALL = ("safetensors", "threadpoolctl", "tqdm", "jieba", "zhplot")  # never torch, NumPy, matplotlib, ipywidgets
COURSE = Path(__file__).resolve().parent.parent

SAYS = {
    "zh": {
        "installed": "刚刚装好：{}。",
        "failed": "还缺 {names}，装不上（没有网络？）。请在终端里运行：{command}",
        "ready": "准备好了：{}。",
        "no font": "没有中文字体，图里的汉字会是方框",
        "font": "画图用 {}",
        "torch": "PyTorch {}（{}）",
        "no torch": "没有 PyTorch，只有标着 PT 的内容需要它",
        "needs torch": "这一课要用 PyTorch，这里没有。请在终端里运行：{} -m pip install torch，然后重启内核。",
        "no plots": "没有 matplotlib，画不了图",
        "no checks": "这里没有课程的练习文件夹，所以 check 不批改；下载整个课程就有了。",
        "comma": "，",
        "list": "、",
    },
    "en": {
        "installed": "Installed just now: {}.",
        "failed": "Still missing {names}, and it would not install (no network?). Run in a terminal: {command}",
        "ready": "Ready: {}.",
        "no font": "no Chinese font, so Chinese in pictures will show as boxes",
        "font": "pictures use {}",
        "torch": "PyTorch {} ({})",
        "no torch": "no PyTorch, which only what is marked PT needs",
        "needs torch": "This lesson needs PyTorch. In a terminal: {} -m pip install torch; then restart the kernel.",
        "no plots": "no matplotlib, so there are no pictures",
        "no checks": "The course's folder of exercises is not here, so check cannot mark; get the whole course for it.",
        "comma": ", ",
        "list": ", ",
    },
}


def setup(lesson: str, language: str = "zh") -> Any:
    """Make this kernel ready for a lesson ("05") and return its checker; language "zh" or "en"."""
    if language not in SAYS:
        raise ValueError(f"language is {language!r}; it is zh or en")
    say = SAYS[language]
    install_missing(say)
    silence_jieba()
    has_font = ready_pictures()
    ready_widgets()
    print(say["ready"].format(say["comma"].join(parts(say, has_font))))
    return checker(lesson, language)


def install_missing(say: dict[str, str]) -> None:
    """pip install, into this kernel, what is missing of SMALL; say so, or say what to do when it fails."""
    missing = [name for name in SMALL if find_spec(name) is None]
    if not missing:
        return
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "15"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *missing], capture_output=True, check=False
    )
    importlib.invalidate_caches()
    names = say["list"].join(missing)
    if done.returncode:
        again = f"{sys.executable} -m pip install {' '.join(missing)}"
        print(say["failed"].format(names=names, command=again))
    else:
        print(say["installed"].format(names))


def silence_jieba() -> None:
    """No chatter from jieba, now or when it is imported: it sets its own log level, but leaves filters alone."""
    logging.getLogger("jieba").addFilter(loud)  # a second time changes nothing
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*jieba")
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")


def loud(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def ready_pictures() -> bool | None:
    """Size and font of pictures, also of those that a learner draws with pyplot. False: no font; None: no pictures."""
    if find_spec("matplotlib") is None:
        return None
    import matplotlib

    from minillm.canvas import DPI, use_chinese_font

    matplotlib.rcParams.update({"figure.dpi": DPI, "figure.figsize": (7.0, 4.0)})
    return use_chinese_font()


def ready_widgets() -> None:
    """Colab shows the widgets of ipywidgets 7 by itself, and those of 8 when it is asked to."""
    if "google.colab" in sys.modules and find_spec("ipywidgets") and not release("ipywidgets").startswith("7."):
        importlib.import_module("google.colab.output").enable_custom_widget_manager()


def release(package: str) -> str:
    """The installed version, "" if there is none; read from its metadata, for importing torch takes seconds."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def parts(say: dict[str, str], has_font: bool | None) -> list[str]:
    """What is here, in words."""
    from minillm.canvas import FONT

    torch = release("torch")
    number, _, build = torch.partition("+")
    if build == "cpu" or not (shutil.which("nvidia-smi") or sys.platform == "darwin"):
        device = "CPU"
    else:
        device = "MPS" if sys.platform == "darwin" else "GPU"
    pictures = say["no plots"] if has_font is None else say["font"].format(FONT) if has_font else say["no font"]
    return [f"NumPy {release('numpy')}", say["torch"].format(number, device) if torch else say["no torch"], pictures]


def checker(lesson: str, language: str) -> Any:
    """The lesson's checker, from the course's exercises/checks; NoChecks, with the reason, if there can be none."""
    if (COURSE / "exercises" / "checks").is_dir() and str(COURSE) not in sys.path:
        sys.path.append(str(COURSE))
    try:
        found = find_spec("exercises.checks")
    except ModuleNotFoundError:
        found = None
    if found is None:
        none = NoChecks(SAYS[language]["no checks"])
        none()
        return none
    try:
        return importlib.import_module("exercises.checks").lesson(lesson, language)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        none = NoChecks(SAYS[language]["needs torch"].format(sys.executable))
        none()
        return none


class NoChecks:
    """Stands in for a checker where there are no exercises."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self, *ignored: Any) -> None:
        print(self.message)

    hint = __call__
