"""The triage page: what health, traffic and the registry know, put into words and pictures. Knows no Flask."""
