"""Measure what the light enhancement networks do to held-out faces and to the answers of the classifier.

python examples/measure_enhancement.py fer2013.zip sheets utkface_sharp

The folder ``sheets`` receives pictures to look at: held-out faces with the originals, faces of FER2013, and the
astronaut reduced to 48 grey pixels, as bicubic, SwinIR, DDColor and the original.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from cmaen import EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.data.augmentation import augment
from cmaen.data.faces import load_faces
from cmaen.data.restoration import degrade, load_colour_faces, reduce
from cmaen.data.splits import Split
from cmaen.engines import build_engine
from cmaen.enhance.steps import build_chain
from cmaen.images.reader import read_image
from cmaen.training.precision import Hardware, automatic

SMALL, LARGE, BATCH = 48, 192, 16
LIGHT = {"rotation": 5.0, "zoom": (0.95, 1.05), "shift": 0.03, "contrast": 0.1, "brightness": 8.0, "erase": 0.0}


def grey(faces):
    """RGB -> grey RGB."""
    return np.stack([cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for face in faces])


def bicubic(faces):
    """To 192 pixels, as RGB."""
    return np.stack([cv2.resize(face, (LARGE, LARGE), interpolation=cv2.INTER_CUBIC) for face in faces])


def through(step, faces):
    """In batches."""
    return np.concatenate([step(faces[start : start + BATCH]) for start in range(0, len(faces), BATCH)])


def likeness(pictures, truth):
    """PSNR in dB and SSIM of grey pictures."""
    one, other = (torch.from_numpy(part[:, None, :, :, 0].astype(np.float32) / 255) for part in (pictures, truth))
    psnr = peak_signal_noise_ratio(one, other, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    return float(psnr), float(structural_similarity_index_measure(one, other, data_range=1.0))


def chroma(pictures):
    """The a and b of CIELAB."""
    return np.stack(
        [cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:] for picture in pictures]
    )


def colourfulness(pictures):
    """Of Hasler and Suesstrunk, 2003."""
    red, green, blue = (pictures[..., channel].astype(np.float64) for channel in range(3))
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(axis=(1, 2)), second.std(axis=(1, 2)))
    return float((spread + 0.3 * np.hypot(first.mean(axis=(1, 2)), second.mean(axis=(1, 2)))).mean())


def sheet(*rows):
    """One row of faces below the other."""
    return Image.fromarray(np.vstack([np.hstack(list(bicubic(row))) for row in rows]))


data, sheets, *folders = map(Path, sys.argv[1:])
sheets.mkdir(exist_ok=True)
bfloat16 = automatic(Hardware.of(torch.device("cpu"))).precision == "bf16-mixed"
larger, coloured = build_chain(["super-resolution", "colorization"], {}, bfloat16=bfloat16)

colour = load_colour_faces(folders, held_out=True)[:, 4:-4, 4:-4]
truth, rng = grey(colour), np.random.default_rng(0)
shown = rng.permutation(len(truth))[:10]
rows = []
for name, made in (
    ("bicubic reduction", [reduce(face) for face in truth]),
    ("like FER2013's", [degrade(face, rng) for face in truth]),
):
    small = grey(np.stack(made))
    plain, enhanced = bicubic(small), grey(through(larger, small))
    for way, pictures in (("bicubic", plain), ("SwinIR", enhanced)):
        psnr, ssim = likeness(pictures, truth)
        print(f"{len(truth)} held-out faces, {name}: {way:8} {psnr:.2f} dB, SSIM {ssim:.4f}")
    rows += [plain[shown], enhanced[shown]]
for name, faces in (("sharp", truth), ("super-resolved", through(larger, grey(np.stack([reduce(f) for f in truth]))))):
    pictures = through(coloured, faces)
    for way, result in (("grey", faces), ("DDColor", pictures), ("truth", colour)):
        error = np.abs(chroma(result) - chroma(colour)).mean()
        print(f"{name} faces: {way:8} ab error {error:.2f}, colourfulness {colourfulness(result):.1f}")
    rows.append(pictures[shown])
sheet(*rows, colour[shown]).save(sheets / "held-out.png")

validation = load_faces(data, Split.VALIDATION)
faces = validation.images[np.sort(np.random.default_rng(1).permutation(len(validation))[:1000])]
as_rgb = faces[..., None].repeat(3, axis=3)
enhanced = through(larger, as_rgb)
spec = replace(Checkpoint.open().card.preprocess, source_size=None)
engine = build_engine("onnx")


def answers(pictures):
    """The classifier's, of faces as they are."""
    return np.concatenate([engine(spec(list(pictures[i : i + 64]))) for i in range(0, len(pictures), 64)]).argmax(
        axis=1
    )


def augmented(seed):
    """Two small changes of one face."""
    generator = torch.Generator().manual_seed(seed)
    changed = augment(torch.from_numpy(bicubic(as_rgb)[..., 0]), LARGE, generator, **LIGHT)
    return changed[:, 0].numpy().round().clip(0, 255).astype(np.uint8)


both = (answers(bicubic(as_rgb)) == answers(enhanced)).mean()
print(f"{len(faces)} validation faces: the classifier answers alike to bicubic and enhanced {both:.1%}")
print(f"and to two light augmentations {(answers(augmented(0)) == answers(augmented(1))).mean():.1%}")
shown = np.random.default_rng(2).permutation(len(faces))[:10]
rows = (bicubic(as_rgb[shown]), enhanced[shown], through(coloured, enhanced[shown]))
sheet(*rows).save(sheets / "fer2013.png")

photo = read_image(Path(__file__).parent / "astronaut.png")
pipeline = EmotionPredictor().pipeline
face = cv2.resize(pipeline.crop(photo, pipeline.detect(photo)[0]), (LARGE, LARGE), interpolation=cv2.INTER_AREA)
small = reduce(grey(face[None])[0])[None]
enhanced = grey(larger(small))
Image.fromarray(np.hstack([bicubic(small)[0], enhanced[0], coloured(enhanced)[0], face])).save(sheets / "astronaut.png")
