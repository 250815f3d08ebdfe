"""Bulk scoring of files: read in partitions, checked and scored as the service does, written whole or not at all."""
