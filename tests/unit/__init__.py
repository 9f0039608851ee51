"""Parts alone: no process, no network, no database, no neural network."""
