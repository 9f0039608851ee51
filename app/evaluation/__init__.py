"""Measure what the service's recognition does to photos whose people are known."""
