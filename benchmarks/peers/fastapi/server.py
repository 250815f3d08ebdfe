"""FastAPI, written by hand: `uvicorn server:app --workers 2`."""

import joblib
from fastapi import FastAPI
from reading import Reading

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
async def predict(reading: Reading) -> dict[str, float]:
    # On the event loop: the threads of a plain `def` would fight for the interpreter lock, and cost more.
    return {"score": float(model.predict_proba(reading.matrix())[0, 1])}
