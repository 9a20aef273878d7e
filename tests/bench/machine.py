"""What the figures were measured with: the machine, and versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path


def describe() -> dict[str, str]:
    """By name: processor, cores, memory, kernel, and versions of what takes part."""
    return {
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "kernel": platform.release(),
        "Python": f"{platform.python_version()} ({_built()})",
        "uvloop": importlib.metadata.version("uvloop"),
        "c-icap": _c_icap(),
        "pyicap": importlib.metadata.version("pyicap"),
    }


def _processor() -> str:
    facts: dict[str, str] = dict(
        re.findall(r"^(model name|vendor_id|cpu family|model|flags)\s*: (.*)$", _cpuinfo(), re.M)
    )
    name = facts.get("model name", platform.machine())
    if "model" in facts:
        name += f" (family {facts.get('cpu family')}, model {facts['model']})"
    return name + (", a virtual machine" if "hypervisor" in facts.get("flags", "") else "")


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.1f} GiB"


def _c_icap() -> str:
    program = shutil.which("c-icap", path="/usr/sbin:/usr/bin")
    if program is None:
        return "not installed"
    told = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
    return (told.stdout + told.stderr).strip() or "unknown"


def _built() -> str:
    """Distributions build the interpreter with more optimisation than a plain `make` does."""
    return "the distribution's" if sys.base_prefix == "/usr" else "built apart"
