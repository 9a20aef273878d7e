"""Asks the icapd of a configuration as a proxy would: OPTIONS, a clean body and EICAR.

`python -m icapd.selftest` is its command; `kata-bridge check` runs it in a process of its own,
since no command imports a door.
"""
