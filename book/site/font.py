"""A font with just the Chinese characters of the book: for machines that have no Chinese font, and for the PDFs."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

WIDE = re.compile("[\u2014\u2018-\u201d\u2026\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


def write_font(sites: list[Path]) -> None:
    """Write _static/han.woff2 into each site: the characters that any of them uses, cut from zhplot's Noto Sans SC."""
    characters: set[str] = set()
    for site in sites:
        for path in [*site.glob("*.html"), *site.glob("_static/*.js"), *site.glob("_static/book.css")]:
            characters |= set(WIDE.findall(path.read_text(encoding="utf-8")))
    fonts = chinese_font().parent
    font = TTFont(chinese_font())
    options = subset.Options(flavor="woff2", layout_features=["*"], hinting=False, name_IDs=[0, 1, 2, 13, 14])
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=map(ord, characters))
    cutter.subset(font)
    font.flavor = "woff2"
    target = sites[0] / "_static" / "han.woff2"
    font.save(target)
    for site in sites:
        if site != sites[0]:
            shutil.copyfile(target, site / "_static" / "han.woff2")
        shutil.copyfile(fonts / "OFL.txt", site / "_static" / "han-OFL.txt")


def chinese_font() -> Path:
    """The file of Noto Sans SC that the package zhplot ships."""
    spec = find_spec("zhplot")
    assert spec and spec.origin, "zhplot is in requirements.txt"
    return next(Path(spec.origin).parent.rglob("*.ttf"))
