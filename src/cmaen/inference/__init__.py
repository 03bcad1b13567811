"""From a picture to emotions, without PyTorch: detection, alignment, engines, the predictor and its outputs."""
