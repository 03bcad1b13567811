"""From a picture to emotions, without PyTorch: detection, alignment, engines, the predictor and its outputs."""

import cmaen.opencv  # noqa: F401 - what is wrong with it is said before anything of it is used
