"""Emotions from images, without PyTorch: detection, alignment, engines, the predictor and its outputs."""

import cmaen.opencv  # noqa: F401 - reports a broken OpenCV before anything uses it
