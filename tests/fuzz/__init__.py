"""Fuzzing, in this process: `make fuzz`."""
