"""The second version of the API: one file for each resource under `/api/v2`."""
