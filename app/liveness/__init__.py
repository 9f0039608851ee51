"""Client of the liveness service, which decides whether frames show a living face."""
