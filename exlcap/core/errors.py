"""Errors that a user can act on."""

from __future__ import annotations


class ExlcapError(Exception):
    """A problem the user can fix: `message` says what is wrong, `hint` what to do next, in one line each.

    The command line prints both and exits with `exit_code`; it shows a traceback only with ``--debug``.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(ExlcapError):
    """The input is well formed, but the result would not be trustworthy, so there is none (exit code 3)."""

    exit_code = 3
