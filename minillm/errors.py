"""The one exception that a user of the course can cause: a bad file, prompt, option or checkpoint.

Its message is a single line that says what is wrong and what to do about it. The command line prints
that line and ends with exit code 2; in a notebook it reads like any other ValueError.
"""


class UserError(ValueError):
    """Something the user can put right. The message says how, in one line."""
