"use strict";
// Search results: pages that have every word of the query, each with its best sections and a piece of their text.
// Sphinx's own results would fetch each page for that, which browsers do not allow when the book is read from a folder.

const CHINESE = /[\u3400-\u9fff\uf900-\ufaff]/;
const SECTIONS = 3, BEFORE = 40, LENGTH = 150;

// The terms of the index, and what of the query to look for in the text: whole runs of Chinese characters.
const readQuery = (query) => {
  const stemmer = new Stemmer();
  const lower = query.toLowerCase().trim();
  const terms = splitQuery(lower).filter((word) => !stopwords.includes(word)).map((word) => stemmer.stemWord(word));
  const runs = [...lower.matchAll(HAN_OR_WORD)].map(([run]) => run).filter((run) => !stopwords.includes(run));
  return [[...new Set(terms)], [...new Set(runs)]];
};

const pagesWith = (term) => {
  const { terms, titleterms } = Search._index;
  const own = (index, key) => (Object.hasOwn(index, key) ? [index[key]].flat() : []);
  const pages = new Set([...own(terms, term), ...own(titleterms, term)]);
  if (!pages.size && term.length > 2 && !CHINESE.test(term)) { // the beginning of a word will do
    for (const index of [terms, titleterms])
      for (const key of Object.keys(index))
        if (key.startsWith(term)) own(index, key).forEach((page) => pages.add(page));
  }
  return pages;
};

// What to look for: Chinese as it was written; of another word what it has in common with its stem, entrop of entropy.
const root = (run) => {
  const stem = new Stemmer().stemWord(run);
  let length = 0;
  while (length < run.length && run[length] === stem[length]) length++;
  return run.slice(0, length) || run;
};
const pattern = (runs) => // runs hold no character that a pattern minds
  new RegExp(`(${runs.map((run) => (CHINESE.test(run) ? run : `(?<!\\p{L})${root(run)}\\p{L}*`)).join("|")})`, "giu");

// The best sections first: those with the words as they were written, in the title or often; else with pairs of them.
const rank = (sections, runs, terms) => {
  const weights = [...runs.map((run) => [pattern([run]), 10]), ...terms.map((term) => [pattern([term]), 0.1])];
  const found = sections.map(([id, title, text], place) => {
    let score = 0;
    for (const [words, weight] of weights) {
      const [inTitle, inText] = [title, text].map((where) => (where.match(words) ?? []).length);
      if (inTitle || inText) score += weight * (2 + 3 * Math.min(inTitle, 1) + Math.min(inText, 5) / 5);
    }
    return { id, title, text, place, score };
  }).sort((a, b) => b.score - a.score || a.place - b.place);
  const enough = Math.min(found[0].score, 10);
  return found.filter((section) => section.score > 0 && section.score >= enough);
};

const marked = (tag, text, runs) => {
  const element = document.createElement(tag);
  text.split(pattern(runs)).forEach((piece, i) => {
    if (i % 2 === 0) return element.append(piece);
    const mark = document.createElement("mark");
    mark.textContent = piece;
    element.append(mark);
  });
  return element;
};

const snippet = (text, runs, terms) => {
  const at = Math.max(0, [...runs, ...terms].map((word) => text.search(pattern([word]))).find((place) => place >= 0) ?? 0);
  let start = Math.max(0, at - BEFORE);
  if (start) { // at the beginning of a sentence, or at least of a word
    const before = text.slice(start, at);
    const stops = [...before.matchAll(/[。！？；.!?;]\s*/gu)];
    start += stops.length ? stops[0].index + stops[0][0].length : Math.max(0, before.search(/[\s，：、]/u) + 1);
  }
  const end = start + LENGTH;
  return (start > 0 ? "…" : "") + text.slice(start, end).trim() + (end < text.length ? "…" : "");
};

const showPage = (page, runs, terms) => {
  const item = document.createElement("li");
  const link = (anchor, title) => {
    const element = marked("a", title, runs);
    element.href = page.name + DOCUMENTATION_OPTIONS.LINK_SUFFIX + anchor;
    element.addEventListener("click", () => localStorage.setItem("sphinx_highlight_terms", runs.map(root).join(" ")));
    return element;
  };
  const head = document.createElement("p");
  head.className = "page";
  head.append(link("", page.title));
  item.append(head);
  for (const [i, section] of page.found.slice(0, SECTIONS).entries()) {
    if (section.place === 0 && i > 0) continue; // the page's beginning has no heading of its own
    if (section.place > 0) {
      const name = document.createElement("p");
      name.className = "section";
      name.append(link("#" + section.id, section.title));
      item.append(name);
    }
    if (!section.text) continue;
    const text = marked("p", snippet(section.text, runs, terms), runs);
    text.className = "context";
    item.append(text);
  }
  Search.output.append(item);
};

Search.query = (query) => {
  const [terms, runs] = readQuery(query);
  const pages = terms.map(pagesWith).reduce((all, some) => new Set([...all].filter((page) => some.has(page))), new Set(
    terms.length ? Search._index.docnames.keys() : []));
  const found = [...pages].map((i) => {
    const name = Search._index.docnames[i];
    const sections = SEARCH_TEXTS[name]?.length ? rank(SEARCH_TEXTS[name], runs, terms) : [];
    const best = sections.slice(0, SECTIONS).reduce((sum, section) => sum + section.score, 0);
    return { name, title: (SEARCH_TEXTS[name]?.[0] ?? ["", name])[1], found: sections, score: best };
  }).filter((page) => page.found.length).sort((a, b) => b.score - a.score);
  found.forEach((page) => showPage(page, runs, terms));
  Search.stopPulse();
  Search.title.textContent = "";
  Search.status.textContent = document.documentElement.lang.startsWith("zh")
    ? (found.length ? `找到 ${found.length} 页` : "没有找到。换一个词试试。")
    : (found.length ? `${found.length} page${found.length > 1 ? "s" : ""} found` : "Nothing found. Try another word.");
};
