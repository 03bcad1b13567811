"""Write the ONNX files of the light enhancement networks, beside their weights in the package.

python examples/export_enhancers.py
"""

from cmaen.enhance.export import export_step
from cmaen.enhance.weights import find_shipped

for name in ("super-resolution", "colorization"):
    weights = find_shipped(name)
    target = weights.with_suffix(".onnx")
    export_step(name, weights, target)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
