"""The service and its commands as processes: over sockets, with faults and attacks."""
