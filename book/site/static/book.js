"use strict";
// The switch between the languages goes to the same section; and after formulas have taken their room, the page
// is still at the section that its address names.

// Chromium leaves the first text that asked for a font which is not the first of its list in boxes: set all text anew.
document.fonts.addEventListener("loadingdone", ({ fontfaces }) => {
  if (fontfaces.some((face) => face.family.includes("MiniLLM Han"))) document.documentElement.style.wordSpacing = "0.01px";
});

const currentSection = () => {
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named) {
    const box = named.getBoundingClientRect();
    if (box.top > -40 && box.top < window.innerHeight * 0.75) return named.id;
  }
  if (window.scrollY < 40) return "";
  const heads = [...document.querySelectorAll("article section[id]")];
  const above = heads.filter((section) => section.getBoundingClientRect().top < window.innerHeight * 0.35);
  return above.length ? above[above.length - 1].id : "";
};

document.addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll("a.language-switch")) {
    const page = link.getAttribute("href");
    const follow = () => {
      const section = currentSection();
      link.href = page + location.search + (section ? "#" + section : "");
    };
    for (const event of ["pointerdown", "focus", "click"]) link.addEventListener(event, follow);
  }
});

window.addEventListener("load", async () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target || !window.MathJax || !MathJax.startup) return;
  let moved = false;
  for (const event of ["wheel", "touchstart", "keydown"]) {
    window.addEventListener(event, () => { moved = true; }, { once: true, passive: true });
  }
  await MathJax.startup.promise;
  if (!moved) target.scrollIntoView({ behavior: "instant" });
});
