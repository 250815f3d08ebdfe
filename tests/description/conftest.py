"""The running service, as the end-to-end tests have it."""

from tests.e2e.conftest import models_dir, service, start_service

__all__ = ["models_dir", "service", "start_service"]
