"""A proxy in front of many providers, on port 4000."""
