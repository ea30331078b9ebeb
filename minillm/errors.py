"""The one exception that a user of the course can cause: a bad file, prompt, option or checkpoint.

Its message is a single line that says what is wrong and what to do about it. The command line prints
that line and ends with exit code 2; in a notebook it reads like any other ValueError.
"""


class UserError(ValueError):
    """Something the user can put right. The message says how, in one line."""

    def __init__(self, message: str) -> None:
        """What a terminal would not show as it is (a line end in a file's name, a colour code) is escaped."""
        super().__init__("".join(char if char.isprintable() else repr(char)[1:-1] for char in message))


class ProcessError(UserError):
    """What befell one of several processes that train together, and only that one can tell."""
