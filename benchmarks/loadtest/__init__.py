"""Mixed traffic by locust, as monitoring pipelines send it, and service level objectives held against it."""
