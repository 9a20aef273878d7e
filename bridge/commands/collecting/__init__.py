"""What `kata-bridge collect` takes together, and how.

`archive` is the only way into the file: every text goes through the scrubber there. `masking`
makes of the configuration what may be shown of it, `logs` and `portions` choose what of the logs
fits, `people` gives pseudonyms, `facts`, `daemons`, `certificates` and `asked` say how things are.
"""
