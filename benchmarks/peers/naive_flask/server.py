"""What a first version looks like: `gunicorn --workers 2 server:app`. It checks nothing."""

import joblib
import pandas as pd
from flask import Flask, jsonify, request

app = Flask(__name__)
model = joblib.load("model.joblib")


@app.post("/predict")
def predict():
    rows = pd.DataFrame([request.get_json()])
    return jsonify(score=float(model.predict_proba(rows[model.feature_names_in_])[0, 1]))
