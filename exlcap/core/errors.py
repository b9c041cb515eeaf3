"""Errors a user can act on."""

from __future__ import annotations


class ExlcapError(Exception):
    """Something the user can mend: one line of what is wrong, one of what to do next.

    The command line prints both and leaves with `exit_code`; a traceback is shown only with ``--debug``.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(ExlcapError):
    """The input is well formed, but the result would not be trustworthy, so none is given (exit code 3)."""

    exit_code = 3
