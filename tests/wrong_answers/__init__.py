"""Wrong answers that learners really give, one module a lesson, which its checker must name.

    WRONG = {"softmax": {"axis": fn_or_source, "overflow": [fn, fn], ...}}   slug -> what leads to it, three at least
    STUB = {"repair_me": "axis"}                                            the stub's slug, where it is not todo

A source is a text that defines a function of the exercise's name; it sees what the lesson's exercises see.
"""
