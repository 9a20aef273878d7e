"""A KATA that runs anywhere, for demonstration and tests: the scan API over mutual TLS.

It judges by looking for the EICAR test file and by what content tells it to say. It protects
nothing.
"""

from bridge.emulator.memory import EmulatedScan, EmulatorError, Memory, accept_sensor
from bridge.emulator.script import EICAR, Fault, Script, State
from bridge.emulator.server import Emulator

__all__ = [
    "EICAR",
    "EmulatedScan",
    "Emulator",
    "EmulatorError",
    "Fault",
    "Memory",
    "Script",
    "State",
    "accept_sensor",
]
