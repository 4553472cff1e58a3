"""The errors that tercet raises: each says what, where, expected, found, and what to do.

Every class also derives from the built-in that a Python user would catch (`ValueError`,
`TypeError`, `RuntimeError`), and all of them from `TercetError`, which the command line turns into
one line and exit status 2.
"""


class TercetError(Exception):
    """Base of every error that tercet raises on purpose."""


class ShapeError(TercetError, ValueError):
    """An array has the wrong number of dimensions or the wrong size along one of them."""


class DTypeError(TercetError, TypeError):
    """An array has a dtype that the operation does not take."""


class OptionError(TercetError, ValueError):
    """An option, a name or a number is outside what is accepted."""


class BackendError(TercetError, RuntimeError):
    """A backend is unknown or unusable here, or arrays of two backends meet in one operation."""


class OutOfMemoryError(BackendError, MemoryError):
    """A backend has no room for an array, by its device's memory or by a limit that was set."""


class DataError(TercetError, ValueError):
    """A data set or a data file is empty, malformed, or holds values that cannot be trained on."""


class CheckpointError(TercetError, ValueError):
    """A saved file is truncated, foreign, or does not fit the model."""


class GradientError(TercetError, RuntimeError):
    """A gradient was asked for where there is none to compute, or a gradient check failed."""


class CaptureError(TercetError, RuntimeError):
    """A function cannot be captured: a replay would not do what calling it does."""


class BenchmarkError(TercetError, RuntimeError):
    """A benchmark's process ended, or two frameworks do not compute the same."""


def choose(what: str, name: object, known: object) -> str:
    """The message for an unknown name: what it is, what was found, what is known, the nearest."""
    from difflib import get_close_matches

    names = sorted(str(k) for k in known)  # type: ignore[attr-defined]
    near = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}; expected one of: {', '.join(names)}.{hint}"
