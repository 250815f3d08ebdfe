"""How a model version comes to be: data, features, fitting, evaluation. Serving never imports it."""
