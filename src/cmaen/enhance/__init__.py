"""Enhancing faces before training, a folder at a time, and crops before prediction: super-resolution and colour."""
