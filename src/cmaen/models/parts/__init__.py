"""The parts that both wirings share: the E-CNN, attention over scales and over emotions, and the classifiers."""
