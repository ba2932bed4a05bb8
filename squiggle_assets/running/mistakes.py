"""Which errors are a person's to mend, and in what words.

Here: that decision. Not here: printing and exit codes (cli).
"""

from __future__ import annotations

import json

from squiggle_assets.workspace import Workspace

_SAID = (ValueError, LookupError)
"""Their words say what is wrong, full disk or not."""
_MISTAKES = (*_SAID, OSError, RuntimeError)


def told(error: Exception) -> str | None:
    """One line that says what is wrong and the way out; None for a fault of the program, which needs its traceback.

    On a full disk everything but a wrong word of the command is the full disk: databases say it in words of their own.
    """
    known = isinstance(error, _MISTAKES) and not isinstance(error, json.JSONDecodeError)
    full = None if known and isinstance(error, _SAID) else _full_disk()
    if full is not None:
        return str(full)
    return str(error) if known else None


def _full_disk() -> OSError | None:
    try:
        Workspace.given().refuse_full_disk()
    except OSError as full:
        return full
    except ValueError:  # settings that are none: the error that is being reported says so
        return None
    return None
