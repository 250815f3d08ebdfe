"""The triage page in a real browser. Run by `make e2e`; needs Debian's `chromium`."""
