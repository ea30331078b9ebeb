"""A row of pictures that a reader flips through with a slider, in a web page without a kernel or a library.

One piece of HTML: the still picture, and a few lines of script that put a slider under it. Where scripts do not
run (an untrusted notebook, a printer) the still picture is all there is. Any number may stand on one page.
"""

import json
import struct
from base64 import b64encode
from collections.abc import Sequence
from html import escape

HINT = "拖动看看 drag me"
CARD = (
    "background:#fff;color:#222;color-scheme:light;max-width:660px;box-sizing:border-box;"
    "padding:10px;border:1px solid #ddd;border-radius:6px"
)
PICTURE = "display:block;max-width:100%;height:auto;margin:0;filter:none;background:#fff"
PRINT = "<style>@media print{.minillm-flip label{display:none!important}}</style>"
# Each run takes care of all flip-books on the page that have no slider yet: the order of scripts does not matter.
SCRIPT = """
document.querySelectorAll("div.minillm-flip:not([data-ready])").forEach(function (box) {
  var store = box.querySelector("script[type='application/json']");
  if (!store) return;
  box.setAttribute("data-ready", "");
  var book = JSON.parse(store.textContent), picture = box.querySelector("img"), alt = picture.alt;
  book.frames[book.start] = picture.src;
  function add(parent, kind, text, style) {
    var element = document.createElement(kind);
    element.textContent = text;
    element.style.cssText = style;
    return parent.appendChild(element);
  }
  var row = add(box, "label", "", "display:flex;flex-wrap:wrap;gap:4px 12px;align-items:center;margin:8px 0 0;" +
    "font:15px/1.4 sans-serif;color:#222");
  add(row, "span", book.label, "");
  var bar = add(row, "input", "", "flex:1 1 180px;min-width:120px;margin:0");
  bar.type = "range"; bar.min = 0; bar.max = book.values.length - 1; bar.step = 1; bar.value = book.start;
  bar.setAttribute("aria-label", book.label);
  bar.setAttribute("data-lm-suppress-shortcuts", "true");  // or JupyterLab takes the arrow keys for itself
  var value = add(row, "strong", "", "min-width:3em;font-variant-numeric:tabular-nums");
  add(row, "span", book.hint, "color:#666;font-size:13px");
  function turn() {
    var text = book.values[bar.value];
    picture.src = book.frames[bar.value];
    picture.alt = alt + " (" + book.label + " " + text + ")";
    value.textContent = text;
    bar.setAttribute("aria-valuetext", text);
  }
  bar.addEventListener("input", turn);
  turn();
});
"""


def data_uri(png: bytes) -> str:
    """A picture that stands in the page itself."""
    return "data:image/png;base64," + b64encode(png).decode()


def still(png: bytes, alt: str) -> str:
    """The picture alone, on a white card."""
    width, height = struct.unpack(">II", png[16:24])  # from the header of the file
    image = f'<img alt="{escape(alt)}" width="{width}" height="{height}" style="{PICTURE}" src="{data_uri(png)}">'
    return f'<div class="minillm-flip" style="{CARD}">{image}</div>'


def flipbook(frames: Sequence[bytes], values: Sequence[str], start: int, label: str, alt: str) -> str:
    """HTML that shows frames[start], a PNG file, and lets the reader turn to the others; values name the frames."""
    uris = [None if i == start else data_uri(frame) for i, frame in enumerate(frames)]
    book = {"label": label, "hint": HINT, "start": start, "values": list(values), "frames": uris}
    store = json.dumps(book, ensure_ascii=False).replace("<", "\\u003c")  # nothing in it ends the script element
    scripts = f'<script type="application/json">{store}</script><script>{SCRIPT}</script>'
    return still(frames[start], alt).removesuffix("</div>") + f"{scripts}</div>{PRINT}"
