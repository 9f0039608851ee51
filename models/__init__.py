"""The networks and where their weights come from. Knows nothing of the service."""
