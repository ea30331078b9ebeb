"""Exercises: the learner's notebooks in zh/ and en/ (built), and what checks them in checks/ (written by hand)."""
