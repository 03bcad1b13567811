"""The pipeline behind HTTP: one application, run by uvicorn on this machine or by Ray Serve on many.

``app`` puts it together: ``safety`` (who may come in), ``uploads`` (what was sent), ``service`` (the model, and the
``batching`` of all clients' pictures), ``live`` (a camera's frames), ``schemas`` (what OpenAPI tells), ``metrics``,
``problems`` (every refusal), ``logs``; the page is :mod:`cmaen.web`. ``local`` and ``distributed`` run it.
"""
