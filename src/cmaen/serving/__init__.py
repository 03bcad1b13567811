"""The pipeline as an HTTP service: one application, run by uvicorn on this machine or by Ray Serve on many.

``app`` assembles it from ``safety`` (access control), ``uploads`` (request bodies), ``service`` (the model, with the
``batching`` of all clients' images), ``live`` (camera frames), ``schemas`` (OpenAPI), ``metrics``, ``problems`` (error
responses) and ``logs``; the page is :mod:`cmaen.web`. ``local`` and ``distributed`` run it.
"""
