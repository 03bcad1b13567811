"""Maps of where the network looks in a face crop: its attention weights, and a gradient-based map.

The maps show what an answer of this network depends on; they do not prove why a person has an expression.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import cv2
import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from cmaen.checkpoints import Where
from cmaen.devices import torch_threads
from cmaen.drawing.heat import Heat
from cmaen.models.base import EmotionOutput
from cmaen.models.checkpoint import load_checkpoint
from cmaen.models.parts.attention import MultiScaleAttention
from cmaen.types import EMOTIONS, PERCEIVED

MAPS = ("gradient", "cross_modal", "cross_modal_back", "multi_scale", "multi_scale_backbone", "emotion_head")
"""Names of the maps of an explanation."""
_STEPS = 24


class Explanation(NamedTuple):
    """Maps of one face, float32 [S, S] in [0, 1], S being the side of the network's input.

    All maps but the gradient are ``None`` if the network does not have the part.

    Attributes:
        emotion: Index of the explained answer.
        gradient: Contribution of each place to the answer's logit, by integrated gradients from a grey image
            (Sundararajan et al., 2017), slightly blurred.
        cross_modal: Attention to each place of the pathway that provides the keys, averaged over the heads and the
            query places. In the paper's wiring the side (the E-CNN) queries the trunk; in the residual one the trunk
            queries the side.
        cross_modal_back: Attention in the opposite direction, if the pathways attend to each other.
        multi_scale: Weight of each place of the E-CNN's last map, averaged over the channels.
        multi_scale_backbone: Weight of each place of the pretrained pathway's last map, averaged over the channels.
        emotion_head: Spatial attention of the answer's own head.
    """

    emotion: int
    gradient: Heat
    cross_modal: Heat | None = None
    cross_modal_back: Heat | None = None
    multi_scale: Heat | None = None
    multi_scale_backbone: Heat | None = None
    emotion_head: Heat | None = None

    @property
    def maps(self) -> dict[str, Heat]:
        """The maps that are present, by name, in the order of :data:`MAPS`."""
        return {name: found for name in MAPS if (found := getattr(self, name)) is not None}


class Variation(NamedTuple):
    """Variation of attention maps; its share is 0 if all faces have the same map, near 1 if the maps differ wholly.

    Attributes:
        faces: Variance over the faces, averaged over the places.
        places: Variance over the places of the mean map.
    """

    faces: float
    places: float

    @classmethod
    def of(cls, maps: Tensor) -> Variation:
        """Analyse non-negative maps [N, H, W]; each is divided by its sum first."""
        maps = maps / maps.sum(dim=(1, 2), keepdim=True)
        return cls(float(maps.var(dim=0).mean()), float(maps.mean(dim=0).var()))

    @property
    def share(self) -> float:
        """Share of the variance over the faces in the total, in [0, 1]."""
        return self.faces / max(self.faces + self.places, 1e-30)


class Attended(NamedTuple):
    """What the network makes of some crops.

    Attributes:
        emotions: Its answers, int64 [B].
        vectors: Its penultimate features, float32 [B, F].
        maps: Its attention maps, float32 [B, H, W], by the names of :data:`MAPS`.
    """

    emotions: Tensor
    vectors: Tensor
    maps: Mapping[str, Tensor]


class Survey(NamedTuple):
    """What a network makes of many crops.

    Attributes:
        vectors: Its penultimate features, float32 [N, F].
        variation: Variation of its attention maps, by the names of :data:`MAPS`.
    """

    vectors: NDArray[np.float32]
    variation: Mapping[str, Variation]


class Explainer:
    """Explains the answers of a checkpoint; it is thread-safe.

    Args:
        checkpoint: Checkpoint with a ``model.safetensors``, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        scheme: Label scheme of the explained answers; ``None`` for the first.

    Raises:
        CheckpointError: The file is missing, corrupt or of another architecture.
    """

    def __init__(self, checkpoint: Where = None, *, scheme: str | None = None) -> None:
        self.model, card = load_checkpoint(checkpoint)
        self.spec = card.preprocess
        self._perceived = scheme == PERCEIVED

    @torch_threads()
    def explain(self, crops: Sequence[NDArray[np.uint8]]) -> list[Explanation]:
        """Return one explanation for each face crop, uint8 [h, w] or [h, w, 3]."""
        images = torch.from_numpy(self.spec(crops))
        emotions, _, attention = self._attend(images)
        integrated = IntegratedGradients(self._logits)
        effect = integrated.attribute(images, target=emotions.clone(), n_steps=_STEPS, internal_batch_size=64)
        gradient = effect.sum(dim=1).abs().float().numpy()  # [B, 3, S, S] -> [B, S, S]
        return [
            Explanation(
                int(emotions[i]),
                self._enlarge(cv2.GaussianBlur(gradient[i], (0, 0), self.spec.image_size / 32)),
                **{name: self._enlarge(found[i].numpy()) for name, found in attention.items()},
            )
            for i in range(len(images))
        ]

    @torch_threads()
    def survey(self, crops: Sequence[NDArray[np.uint8]], batch_size: int = 64) -> Survey:
        """Run the network on many face crops, for their features and for how much its attention maps vary."""
        parts = [
            self._attend(torch.from_numpy(self.spec(crops[start : start + batch_size])))
            for start in range(0, len(crops), batch_size)
        ]
        return Survey(
            torch.cat([part.vectors for part in parts]).numpy(),
            {name: Variation.of(torch.cat([part.maps[name] for part in parts])) for name in parts[0].maps},
        )

    @torch.inference_mode()
    def _attend(self, images: Tensor) -> Attended:
        maps: dict[str, Tensor] = {}
        with self._record_weights(maps):
            features = self.model.forward_features(images, return_attention=True)
        emotions = self._of_scheme(self.model.answer(features)).argmax(dim=1)
        for name, asked in (("cross_modal", features.attention), ("cross_modal_back", features.back)):
            if asked is not None:
                maps[name] = _square(asked.mean(dim=(1, 2)))  # [B, h, N, N'] -> [B, N'] -> [B, H', W']
        if self.model.emotion_heads is not None:
            spatial = self.model.emotion_heads.attention(features.fused).spatial  # [B, E, H, W]
            maps["emotion_head"] = spatial[torch.arange(len(images)), emotions]
        return Attended(emotions, features.vector, {name: maps[name] for name in MAPS if name in maps})

    def _logits(self, images: Tensor) -> Tensor:
        return self._of_scheme(self.model(images))

    def _of_scheme(self, output: EmotionOutput) -> Tensor:
        """Select the scheme's logits, [B, E]; for ``perceived`` without contempt, which has no attention head."""
        if self._perceived and output.perceived_logits is not None:
            return output.perceived_logits[:, : len(EMOTIONS)]
        return output.logits

    @contextmanager
    def _record_weights(self, maps: dict[str, Tensor]) -> Iterator[None]:
        """While this thread runs the network, record the weights of its multi-scale attentions.

        Other threads may run the same network meanwhile; their weights are not recorded.
        """
        own = threading.get_ident()
        with ExitStack() as hooks:
            for role, module in (("trunk", self.model.trunk_attention), ("side", self.model.side_attention)):
                if isinstance(module, MultiScaleAttention):
                    name = "multi_scale_backbone" if role in self.model.pretrained else "multi_scale"

                    def keep(module: MultiScaleAttention, inputs: tuple[Tensor], _: Tensor, name: str = name) -> None:
                        if threading.get_ident() == own:
                            maps[name] = module.weights(inputs[0]).mean(dim=1)  # [B, C, H, W] -> [B, H, W]

                    hooks.callback(module.register_forward_hook(keep).remove)
            yield

    def _enlarge(self, found: Heat) -> Heat:
        """Stretch a map of any size to the range [0, 1] and to the side of the input."""
        side = self.spec.image_size
        spread = float(np.ptp(found))
        found = (found - found.min()) / spread if spread > 1e-8 else np.zeros_like(found)
        return np.asarray(cv2.resize(found.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR))


def _square(places: Tensor) -> Tensor:
    """Reshape the places of a square input, [B, N'] -> [B, H', W']."""
    side = round(places.shape[1] ** 0.5)
    return places.reshape(len(places), side, side)
