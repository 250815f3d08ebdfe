"""Is it fit for production? Checks, and the service level it has to keep."""
