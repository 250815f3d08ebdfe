"""Is it fit for production? The checklist as checks that look for themselves, and the service level to keep."""
