"""Real servers, photos and loads that tests and benchmarks run against."""
