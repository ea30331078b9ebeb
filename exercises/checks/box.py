"""The box in which a check answers: short, coloured, readable in light and dark and without colour."""

from __future__ import annotations

import re
from html import escape

from exercises.checks.words import T
from minillm.display import publish

STATES = {  # the word that stands first, and the colour
    "right": (T("✓ 通过", "✓ Passed"), "46, 160, 67"),
    "wrong": (T("✗ 还不对", "✗ Not yet right"), "218, 54, 51"),
    "todo": (T("○ 还没完成", "○ Not yet"), "128, 134, 142"),
    "note": (T("! 注意", "! Note"), "128, 134, 142"),
    "hint": (T("→ 提示", "→ Hint"), "47, 129, 247"),
}


def show_box(state: str, name: str, message: T, language: str, hint: T | None = None) -> None:
    """Show one answer; the hint stays folded."""
    said = (state, name, message, language, hint)
    publish({"text/html": html(*said), "text/plain": plain(*said)})


def plain(state: str, name: str, message: T, language: str, hint: T | None = None) -> str:
    """The answer without colour: a word, the exercise, the message; and how to get the hint."""
    word = STATES[state][0].say(language)
    if state == "right":
        return f"{word} {name}"
    lines = [f"{word} {name}{T('：', ': ').say(language)}{message.say(language)}"]
    if hint is not None:
        lines.append(T(f"要提示：check.hint({name})", f"For a hint: check.hint({name})").say(language))
    return "\n".join(lines)


def html(state: str, name: str, message: T, language: str, hint: T | None = None) -> str:
    """The answer as HTML that carries its own style and leaves the text in the page's colour."""
    word, colour = STATES[state]
    style = (
        f"border-left: 5px solid rgb({colour}); background: rgba({colour}, 0.12); border-radius: 3px; "
        "padding: 0.5em 0.9em; margin: 0.3em 0; max-width: 60em; line-height: 1.6"
    )
    body = f"<strong>{escape(word.say(language))}</strong> <code>{escape(name)}</code>"
    if state != "right":
        body += f"<div>{marked(message.say(language))}</div>"
    if hint is not None:
        title = T("要一点提示", "A hint, please").say(language)
        body += (
            f'<details style="margin-top: 0.3em"><summary style="cursor: pointer">{escape(title)}</summary>'
            f"<div>{marked(hint.say(language))}</div></details>"
        )
    tag = "zh-CN" if language == "zh" else "en"
    return f'<div role="status" lang="{tag}" style="{style}">{body}</div>'


def marked(text: str) -> str:
    """Escaped text, with `backticks` as code and line ends kept."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)).replace("\n", "<br>")
