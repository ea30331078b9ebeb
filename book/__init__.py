"""The lesson machine: one bilingual source a lesson becomes notebooks, exercises, solutions and a page of the book."""
