"""A model in MLflow's format, with the signature that requests must fit: `python save.py MODEL SAMPLE.csv TO`."""

import sys

import joblib
import mlflow
import pandas as pd

model, sample = joblib.load(sys.argv[1]), pd.read_csv(sys.argv[2])
mlflow.sklearn.save_model(
    model,
    sys.argv[3],
    pyfunc_predict_fn="predict_proba",
    serialization_format="cloudpickle",  # skops, the default, refuses boosted trees
    signature=mlflow.models.infer_signature(sample, model.predict_proba(sample)),
)
