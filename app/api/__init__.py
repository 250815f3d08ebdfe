"""HTTP, and nothing but HTTP: every view hands bytes in and puts what comes back into an envelope."""
