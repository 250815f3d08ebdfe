"""The OpenAPI document: `requests` and `operations` say what there is, `document` puts it together."""
