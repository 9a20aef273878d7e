"""Coverage-guided fuzzing of the protocol package: `python -m tests.fuzz`."""
