"""What is written down: log lines and the audit."""
