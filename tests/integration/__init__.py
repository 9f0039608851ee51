"""Parts together in this process: real databases, neural networks, Flask's test client."""
