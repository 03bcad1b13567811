"""The image reader and its parts: any input becomes an RGB picture or a named error."""
