"""Draw the diagrams of the site, each in light and in dark colours: python docs/diagrams/draw.py.

They are taller than wide, so that their words can be read on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

WIDTH, GAP, LINE, ROUND = 460, 34, 17, 9
FONT = "Inter, 'Segoe UI', system-ui, -apple-system, Roboto, sans-serif"
PALETTES = {
    "light": {
        "ink": "#17181c",
        "soft": "#585b64",
        "line": "#8a867b",
        "plain": "#f6f4ef",
        "learned": "#dbe6f5",
        "answer": "#fbe7c8",
    },
    "dark": {
        "ink": "#eef0f4",
        "soft": "#a6adba",
        "line": "#7d8698",
        "plain": "#252a34",
        "learned": "#1d3350",
        "answer": "#4a3512",
    },
}
"""Colours by the scheme of the page: what is given, what is learnt, and what is answered."""


class Box(NamedTuple):
    """A box with a title and, below it, a line that explains it; positions and sizes are in units of the drawing."""

    x: float
    y: float
    width: float
    title: str
    note: str = ""
    kind: str = "plain"
    dashed: bool = False

    @property
    def height(self) -> float:
        """Height, which follows from the text."""
        return 18 + LINE * (1 + bool(self.note))

    @property
    def top(self) -> tuple[float, float]:
        """The middle of the upper edge."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        """The middle of the lower edge."""
        return self.x + self.width / 2, self.y + self.height


@dataclass
class Drawing:
    """Boxes and the arrows between them.

    Attributes:
        name: Name of the files.
        title: What the drawing shows, in words.
    """

    name: str
    title: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[tuple[tuple[float, float], tuple[float, float]]] = field(default_factory=list)

    def add(self, x: float, y: float, width: float, title: str, note: str = "", **look: object) -> Box:
        """Add a box."""
        box = Box(x, y, width, title, note, **look)  # type: ignore[arg-type]
        self.boxes.append(box)
        return box

    def join(self, start: Box, end: Box, *, leave: float = 0.5, enter: float = 0.5) -> None:
        """Draw an arrow from the lower edge of a box to the upper edge of another, at these parts of their widths."""
        self.arrows.append(((start.x + start.width * leave, start.bottom[1]), (end.x + end.width * enter, end.y)))

    def write(self, palette: str) -> str:
        """Write the drawing as SVG in the colours of a palette."""
        colours = PALETTES[palette]
        height = max(box.bottom[1] for box in self.boxes) + 6
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
            f'height="{height:g}" role="img" font-family="{FONT}" font-size="13.5">',
            f"<title>{escape(self.title)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0 8 4 0 8Z" fill="{colours["line"]}"/></marker></defs>',
            f'<g fill="none" stroke="{colours["line"]}" stroke-width="1.5" marker-end="url(#tip)">',
            *(f'<path d="{_curve(start, end)}"/>' for start, end in self.arrows),
            "</g>",
            *(_write_box(box, colours) for box in self.boxes),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = start, end
    if abs(x - to_x) < 1:
        return f"M{x:g} {y:g}V{to_y - 1:g}"
    middle = (y + to_y) / 2
    return f"M{x:g} {y:g}C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y - 1:g}"


def _write_box(box: Box, colours: dict[str, str]) -> str:
    dashes = ' stroke-dasharray="5 4"' if box.dashed else ""
    middle = box.x + box.width / 2
    first = box.y + box.height / 2 + 5 - (LINE / 2 if box.note else 0)
    rectangle = (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{ROUND}" '
        f'fill="{colours[box.kind]}" stroke="{colours["line"]}"{dashes}/>'
    )
    title = (
        f'<text x="{middle:g}" y="{first:g}" text-anchor="middle" font-weight="600" fill="{colours["ink"]}">'
        f"{escape(box.title)}</text>"
    )
    if not box.note:
        return f"{rectangle}{title}"
    note = (
        f'<text x="{middle:g}" y="{first + LINE:g}" text-anchor="middle" font-size="12" fill="{colours["soft"]}">'
        f"{escape(box.note)}</text>"
    )
    return f"{rectangle}{title}{note}"


def draw_pipeline() -> Drawing:
    """Draw the way from a picture to an answer."""
    drawing = Drawing("pipeline", "The way of a picture through the pipeline")
    steps = [
        ("Source", "photo, folder, video or camera", "plain", False),
        ("Detector", "YuNet: face boxes, five landmarks", "learned", False),
        ("Tracker", "videos only: who is who between searches", "plain", True),
        ("Crop", "at the box’s scale, upright by the eyes", "plain", False),
        ("Classifier", "the network on ONNX Runtime: probabilities", "learned", False),
        ("Smoothing", "videos only: a mean over 0.4 seconds", "plain", True),
        ("Result", "emotion, confidence, probabilities, doubts", "answer", False),
        ("Sinks", "JSON, CSV, pictures, charts, videos", "plain", False),
    ]
    last: Box | None = None
    for title, note, kind, dashed in steps:
        y = 4.0 if last is None else last.bottom[1] + 26
        box = drawing.add(70, y, 320, title, note, kind=kind, dashed=dashed)
        if last is not None:
            drawing.join(last, box)
        last = box
    return drawing


def draw_shipped() -> Drawing:
    """Draw the network of the shipped weights."""
    drawing = Drawing("shipped", "The shipped network: MobileNetV1 in the residual wiring, with two label schemes")
    face = drawing.add(120, 4, 220, "Face crop", "grey, 160 × 160")
    trunk = drawing.add(70, face.bottom[1] + GAP, 320, "Trunk: MobileNetV1", "pretrained on faces", kind="learned")
    y = trunk.bottom[1] + GAP
    maps = [drawing.add(8 + 154 * n, y, 136, f"Map at stride {stride}") for n, stride in enumerate((8, 16, 32))]
    drawing.join(face, trunk)
    for n, one in enumerate(maps):
        drawing.join(trunk, one, leave=0.2 + 0.3 * n)
    y = maps[0].bottom[1] + GAP
    pyramid = drawing.add(8, y, 136, "Feature pyramid", "from coarse to fine", kind="learned")
    fused = drawing.add(162, y, 136, "Fused map", "128 channels", kind="learned")
    for n, one in enumerate(maps):
        drawing.join(one, pyramid, leave=0.5 - 0.2 * n, enter=0.25 + 0.25 * n)
    drawing.join(maps[1], fused)
    y = pyramid.bottom[1] + GAP
    features = drawing.add(8, y, 290, "Features", "all of them, pooled: 1,248 numbers")
    heads = drawing.add(316, y, 136, "Emotion heads", "a map per emotion", kind="learned")
    drawing.join(pyramid, features, enter=68 / 290)
    drawing.join(fused, features, leave=0.4, enter=209 / 290)
    drawing.join(maps[2], features, leave=0.4, enter=0.93)
    drawing.join(fused, heads, leave=0.85, enter=0.3)
    y = features.bottom[1] + GAP
    seen = drawing.add(8, y, 136, "Classifier", "of what people see", kind="learned")
    fusion = drawing.add(162, y, 136, "Fusion classifier", "of all features", kind="learned")
    trunk_says = drawing.add(316, y, 118, "Classifier", "of the trunk", kind="learned")
    drawing.join(features, seen, leave=68 / 290)
    drawing.join(features, fusion, leave=209 / 290, enter=0.4)
    drawing.join(features, trunk_says, leave=0.95, enter=0.3)
    y = seen.bottom[1] + GAP
    ensemble = drawing.add(162, y, 290, "Adaptive ensemble", "trunk + heads + fusion, gated by face", kind="learned")
    drawing.join(fusion, ensemble, enter=68 / 290)
    drawing.join(trunk_says, ensemble, enter=213 / 290)
    drawing.join(heads, ensemble, leave=129 / 136, enter=283 / 290)
    y = ensemble.bottom[1] + GAP
    perceived = drawing.add(8, y, 136, "perceived", "8 shares", kind="answer")
    label = drawing.add(162, y, 290, "fer2013", "7 probabilities", kind="answer")
    drawing.join(seen, perceived)
    drawing.join(ensemble, label)
    return drawing


def draw_paper() -> Drawing:
    """Draw the paper's network."""
    drawing = Drawing("paper", "The paper’s network: two pathways, joined by cross-modal attention")
    face = drawing.add(130, 4, 200, "Face crop", "224 × 224")
    y = face.bottom[1] + GAP
    side = drawing.add(8, y, 214, "E-CNN", "trained from nothing", kind="learned")
    trunk = drawing.add(238, y, 214, "EfficientNetV2-S", "pretrained", kind="learned")
    drawing.join(face, side, leave=0.25)
    drawing.join(face, trunk, leave=0.75)
    y = side.bottom[1] + GAP
    scales = [
        drawing.add(8, y, 214, "Multi-scale attention", "scales 1, 2 and 4", kind="learned"),
        drawing.add(238, y, 214, "Multi-scale attention", "scales 1, 2 and 4", kind="learned"),
    ]
    drawing.join(side, scales[0])
    drawing.join(trunk, scales[1])
    y = scales[0].bottom[1] + GAP
    cross = drawing.add(110, y, 342, "Cross-modal attention", "the E-CNN asks the backbone", kind="learned")
    drawing.join(scales[0], cross, leave=0.8, enter=0.2)
    drawing.join(scales[1], cross, enter=0.686)
    y = cross.bottom[1] + GAP
    pyramid = drawing.add(8, y, 150, "Feature pyramid", "E-CNN’s maps, fused", kind="learned")
    heads = drawing.add(174, y, 130, "Emotion heads", "seven", kind="learned")
    pooled = drawing.add(320, y, 132, "Pooled", "fused, backbone")
    drawing.join(scales[0], pyramid, leave=0.15, enter=0.1)
    drawing.join(cross, pyramid, leave=0.08, enter=0.8)
    drawing.join(cross, heads, leave=0.38)
    drawing.join(cross, pooled, leave=0.81)
    y = pyramid.bottom[1] + GAP
    fusion = drawing.add(8, y, 150, "Fusion classifier", "of all of them", kind="learned")
    drawing.join(pyramid, fusion)
    drawing.join(pooled, fusion, leave=0.3, enter=0.9)
    y = fusion.bottom[1] + GAP
    ensemble = drawing.add(90, y, 280, "Adaptive ensemble", "weights the two for each face", kind="learned")
    drawing.join(fusion, ensemble, enter=0.2)
    drawing.join(heads, ensemble, enter=0.7)
    answer = drawing.add(130, ensemble.bottom[1] + GAP, 200, "Logits", "seven emotions", kind="answer")
    drawing.join(ensemble, answer)
    return drawing


def draw_all() -> dict[str, str]:
    """Draw every diagram in every palette; return the content of each file by its name."""
    drawings = (draw_pipeline(), draw_shipped(), draw_paper())
    return {f"{one.name}-{palette}.svg": one.write(palette) for one in drawings for palette in PALETTES}


if __name__ == "__main__":
    for name, content in draw_all().items():
        (Path(__file__).parent / name).write_text(content, encoding="utf-8", newline="\n")
