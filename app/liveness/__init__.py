"""The liveness service: says whether frames show a living face."""
