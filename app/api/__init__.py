"""The HTTP interface, and nothing else."""
