"""What serving loads. Start-up time and memory are paid for every import, in every worker."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ALLOWED = {
    # the web: Flask and what it stands on
    "flask", "werkzeug", "jinja2", "markupsafe", "click", "itsdangerous", "blinker", "gunicorn",
    # values, settings, telemetry
    "msgspec", "orjson", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection",
    "structlog", "prometheus_client",
    # models: scikit-learn, what it stands on, and the compiled forms
    "sklearn", "numpy", "scipy", "joblib", "threadpoolctl", "narwhals", "packaging", "cloudpickle", "treelite",
}  # fmt: skip
"""Top-level packages."""

DISTRIBUTIONS = packages_distributions()

SERVE = """
import sys, sysconfig
from pathlib import Path
from app.factory import EXTENSION, create_app
from app.settings import Settings
folder = Path(sys.argv[1])
app = create_app(Settings(models_dir="models", audit_dir=folder / "audit", runtime_dir=folder / "run"))
client, schema = app.test_client(), app.extensions[EXTENSION].schema
assert client.post("/predict", json=schema.example()).status_code == 200
assert client.post("/predict/batch", json={"instances": [schema.example()] * 300}).status_code == 200
for path in ("/metrics", "/health/detailed"):
    assert client.get(path).status_code == 200
app.extensions[EXTENSION].background.stop()
site = sysconfig.get_paths()["purelib"]
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print(*{Path(file).relative_to(site).parts[0].split(".")[0] for file in files.values() if file.startswith(site)},
      file=sys.stderr)
"""


def test_serving_loads_only_what_it_needs(tmp_path: Path) -> None:
    """No pandas, no plotting, no tests' helpers: through start, self-test, predictions, metrics and health."""
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert {name for name in done.stderr.split() if _is_ours(name)} - ALLOWED == set()


def _is_ours(package: str) -> bool:
    """Whether it is one of those the service installs; libraries also take what they find of the tests' own."""
    pinned = {match[1] for match in re.finditer(r"(?m)^([a-z0-9-]+)==", Path("requirements.txt").read_text())}
    return any(re.sub(r"[._]", "-", name).lower() in pinned for name in DISTRIBUTIONS.get(package, ()))
