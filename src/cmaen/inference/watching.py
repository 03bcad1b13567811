"""Moving pictures, as the predictor looks at them: a video as a whole or frame by frame, and the webcam."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cmaen.inference.films import AnalysedVideo, analyse_video
from cmaen.inference.frames import AnalysedFrame, analyse_frames
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.run import run
from cmaen.inference.sinks import Sink, open_sink
from cmaen.inference.sources import Excerpt, open_source
from cmaen.inference.spec import PipelineSpec
from cmaen.notebook import follow, in_notebook


class Watcher:
    """What can look at moving pictures.

    Attributes:
        pipeline: Makes the results.
    """

    pipeline: FacePipeline

    def predict_video(
        self,
        source: str | Path,
        *,
        smoothing: float = PipelineSpec.smoothing,
        search_every: float = PipelineSpec.detect_every,
        every: int = 1,
        start: float = 0.0,
        end: float | None = None,
    ) -> AnalysedVideo:
        """A video from its beginning to its end; in a notebook with a bar, and then the lanes of each person.

        ``predictor.predict_video("in.mp4").to_pandas()``

        Args:
            source: A file, or the address of a stream that ends.
            smoothing, search_every, every, start, end: See :meth:`video`, which gives one frame after the other.

        Raises:
            VideoError: It cannot be opened, or not one frame can be decoded.
            MissingExtraError: The extra ``video``, or what draws the lanes, is not installed.
            ValueError: A number is out of its range.
        """
        pipeline = self.pipeline.tune(smoothing=smoothing, detect_every=search_every)
        opened = open_source("video", source, excerpt=Excerpt(every, start, end))
        total = opened.count() if in_notebook() else None
        return analyse_video(opened, pipeline, progress=lambda results: follow(results, unit="frames", total=total))

    @contextmanager
    def video(
        self,
        source: int | str | Path,
        *,
        smoothing: float = PipelineSpec.smoothing,
        search_every: float = PipelineSpec.detect_every,
        every: int = 1,
        start: float = 0.0,
        end: float | None = None,
    ) -> Generator[Iterator[AnalysedFrame], None, None]:
        """The frames of a video or a camera with their faces, as they come.

        ``with predictor.video("in.mp4") as frames: for frame in frames: print(frame.time, frame.faces)``

        Args:
            source: A file, an address, or the index of a camera; let go of at the end of the ``with`` block.
            smoothing: Seconds over which answers are smoothed; 0 for none.
            search_every: Seconds from one search for faces to the next; between them, faces are followed. They are
                searched earlier where none is left and where the picture has changed. 0: search every frame.
            every: Look at every n-th frame only. Frames keep their numbers and times.
            start, end: The part of the video to look at, in seconds; ``None`` for its end.

        A frame that cannot be decoded is left out, with a warning. Where something else goes wrong with a frame, its
        ``error`` says what.

        Raises:
            VideoError: It cannot be opened (on entering), or not one frame can be decoded.
            MissingExtraError: The extra ``video`` is not installed.
            ValueError: A number is out of its range.
        """
        pipeline = self.pipeline.tune(smoothing=smoothing, detect_every=search_every)
        kind, where = ("camera", str(source)) if isinstance(source, int) else ("video", source)
        opened = open_source(kind, where, excerpt=Excerpt(every, start, end))
        with closing(opened), closing(pipeline.results(opened)) as results:
            yield analyse_frames(results)

    def real_time_webcam(
        self,
        camera_index: int = 0,
        save_video: bool = False,
        output_path: str | Path | None = None,
        *,
        display: bool = True,
        smoothing: float = PipelineSpec.smoothing,
        search_every: float = PipelineSpec.detect_every,
        every: int = 1,
        end: float | None = None,
    ) -> None:
        """Watch a webcam until q is pressed, the window is closed, Ctrl-C is pressed or the camera is gone.

        Args:
            camera_index: Which camera.
            save_video: Write a video with the faces drawn.
            output_path: Where to; default: ``output.avi``.
            display: Show it in a window.
            smoothing: Seconds over which answers are smoothed; 0 for none.
            search_every, every: See :meth:`video`.
            end: Seconds after which it ends by itself; ``None`` for never.

        Raises:
            VideoError: There is no such camera, or no display.
            OutputError: The video cannot be written.
            MissingExtraError: The extra ``video`` is not installed.
            ValueError: A number is out of its range.
        """
        pipeline = self.pipeline.tune(smoothing=smoothing, detect_every=search_every)
        excerpt = Excerpt(every, end=end)
        with closing(open_source("camera", str(camera_index), excerpt=excerpt)) as camera:
            sinks: list[Sink] = [open_sink("window")] if display else []
            if save_video:
                sinks.append(open_sink("video", Path(output_path or "output.avi"), camera))
            run(camera, pipeline, sinks)
