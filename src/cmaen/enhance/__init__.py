"""Enhancing pictures of faces before training or prediction: super-resolution and colour, a folder at a time."""
