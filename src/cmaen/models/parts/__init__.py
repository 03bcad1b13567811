"""The parts of both wirings: the E-CNN, attention over scales and over emotions, and the classifiers."""
