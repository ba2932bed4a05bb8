"""Which errors are a person's to mend, and in what words.

Here: that decision. Not here: printing and exit codes (cli).
"""

from __future__ import annotations

import json

from squiggle_assets.workspace import Workspace

_MISTAKES = (ValueError, LookupError, OSError, RuntimeError)


def told(error: Exception) -> str | None:
    """One line that says what is wrong and the way out; None for a fault of the program, which needs its traceback.

    On a full disk it is the full disk, whatever was raised for it: databases say it in words of their own.
    """
    full = _full_disk()
    if full is not None:
        return str(full)
    return str(error) if isinstance(error, _MISTAKES) and not isinstance(error, json.JSONDecodeError) else None


def _full_disk() -> OSError | None:
    try:
        Workspace.given().refuse_full_disk()
    except OSError as full:
        return full
    except ValueError:  # settings that are none: the error that is being reported says so
        return None
    return None
