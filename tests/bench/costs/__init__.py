"""What else katabridge costs: `python -m tests.bench.costs [--only NAME] [--write]`."""
