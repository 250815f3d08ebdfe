"""An exported model gives in MLflow the scores its manifest promises; MLflow then saves it anew, to be registered.

`python round_trip.py EXPORTED MODELS_DIR SAVE_TO`
"""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

exported, models, to = map(Path, sys.argv[1:])
model = mlflow.pyfunc.load_model(str(exported))
said = model.metadata.metadata
manifest = json.loads((models / said["version"] / "manifest.json").read_bytes())
rows = pd.DataFrame(manifest["golden_rows"], columns=manifest["features"])
scores = model.predict(rows)[:, 1]
difference = np.abs(scores - manifest["stages"][said["stage"]]["golden_scores"]).max()
print(f"MLflow {mlflow.__version__}: largest difference of {len(rows)} golden scores {difference:.3g}")
if not difference <= 1e-9:
    sys.exit(1)
mlflow.sklearn.save_model(
    mlflow.sklearn.load_model(str(exported)),
    to,
    code_paths=[str(exported / "code" / "app")],
    serialization_format="cloudpickle",
    input_example=rows,
)
