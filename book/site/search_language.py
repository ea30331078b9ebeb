"""What counts as a word in the book's search: runs of Chinese characters in pairs, everything else as in English.

自注意力 is found as 自注, 注意, 意力; no dictionary decides where a word ends. The browser cuts a query alike.
"""

import re

from sphinx.search.en import SearchEnglish

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
RUN = re.compile(rf"(?P<han>[{HAN}]+)|[^\W{HAN}]+")


class SearchBook(SearchEnglish):
    """Latin words stemmed as English; pairs of Chinese characters, and single ones for one-character queries."""

    lang = "minillm"
    language_name = "Chinese and English"
    js_splitter_code = f"""
const HAN_OR_WORD = /([{HAN}]+)|(?:(?![{HAN}])[\\p{{L}}\\p{{N}}_])+/gu;
function splitQuery(query) {{
  return [...query.matchAll(HAN_OR_WORD)].flatMap(([word, han]) =>
    han && han.length > 1 ? Array.from({{ length: han.length - 1 }}, (_, i) => han.slice(i, i + 2)) : [word]);
}}
"""

    def split(self, text: str) -> list[str]:
        words = []
        for run in RUN.finditer(text):
            word = run.group()
            words.append(word)
            if run["han"]:
                words += [word[i : i + 2] for i in range(len(word) - 1)]
                words += word
            elif "_" in word:
                words += filter(None, word.split("_"))
        return words
