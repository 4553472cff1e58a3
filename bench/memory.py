"""How much memory this process holds and has held, from Linux's /proc."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def resident(text: str | None = None) -> dict[str, int]:
    """Bytes resident "now" and at the "peak"; empty where the system does not tell.

    >>> resident("VmHWM:\\t    2048 kB\\nVmRSS:\\t    1024 kB\\n")
    {'peak': 2097152, 'now': 1048576}
    """
    if text is None:
        if not STATUS.exists():
            return {}
        text = STATUS.read_text()
    names = {"VmHWM:": "peak", "VmRSS:": "now"}
    lines = (line.split() for line in text.splitlines())
    return {names[w[0]]: int(w[1]) * 1024 for w in lines if w and w[0] in names}
