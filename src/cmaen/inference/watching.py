"""The predictor's methods for video: a whole video, a video frame by frame, and the webcam."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from cmaen.deprecation import warn_changed
from cmaen.inference.anonymising import Anonymiser, build_searchers
from cmaen.inference.films import AnalysedVideo, analyse_video
from cmaen.inference.frames import AnalysedFrame, analyse_frames
from cmaen.inference.people.circle import Circle
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.people.opening import open_circle
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.run import run
from cmaen.inference.sinks import Sink, open_sink
from cmaen.inference.sources import Excerpt, open_source
from cmaen.inference.spec import PipelineSpec
from cmaen.notebook import follow, in_notebook


class Watcher:
    """Base class of objects that analyse video.

    Attributes:
        pipeline: Pipeline that makes the results.
    """

    pipeline: FacePipeline

    def recognise_people(self, people: str | Path | None = None, *, exclude: str | Path | None = None) -> Circle:
        """Read photographs of people, so that several videos share who is who: pass the answer as ``recognise``.

        ``circle = predictor.recognise_people("team"); predictor.predict_video("in.mp4", recognise=circle)``

        The features of faces are biometric data. They are in the memory of the answer alone, which forgets those who
        were met with its method ``forget``.

        Args:
            people: Folder of photographs: a folder for each person, or one photograph named after each. Others are
                numbered, as is everybody with ``None``.
            exclude: The same for people whose faces are left out of everything.

        Raises:
            RecognitionError: The network that recognises people is missing or damaged.
            GalleryError: A folder cannot be read, or shows nobody.
        """
        return self._open_circle(True, people, exclude)

    def predict_video(
        self,
        source: str | Path,
        *,
        smoothing: float = PipelineSpec.smoothing,
        search_every: float = PipelineSpec.detect_every,
        every: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
        every_frame: int = 1,
        recognise: bool | Circle = False,
        people: str | Path | None = None,
        exclude: str | Path | None = None,
        anonymise: bool = False,
    ) -> AnalysedVideo:
        """Analyse a whole video; a notebook shows a progress bar, and then the timeline of each person.

        ``predictor.predict_video("in.mp4").to_pandas()``

        Args:
            source: Path of a file, or address of a stream that ends.
            smoothing, search_every, every, start, end, every_frame: See :meth:`video`, which yields the frames one by
                one.
            anonymise: Whether to make the faces of the portraits unrecognisable, see :func:`cmaen.annotate`.
            recognise, people, exclude: See :meth:`video`; the names are those at the end, when all was seen.

        Raises:
            DetectorError: The detector that finds the faces to hide cannot be loaded.
            VideoError: The video cannot be opened, or no frame can be decoded.
            MissingExtraError: The extra ``video``, or the one that draws the timeline, is not installed.
            RecognitionError: People cannot be recognised, see :meth:`recognise_people`.
            ValueError: A number is out of its range.
        """
        pipeline = self.pipeline.tune(smoothing=smoothing, detect_every=search_every)
        opened = open_source("video", source, excerpt=_make_excerpt(every, start, end, every_frame))
        total = opened.count() if in_notebook() else None
        pipeline = self._recognise(pipeline, recognise, people, exclude)
        return analyse_video(
            opened,
            pipeline,
            progress=lambda results: follow(results, unit="frames", total=total),
            anonymiser=Anonymiser(build_searchers()) if anonymise else None,
            settle=None if pipeline.people is None else pipeline.people.settle,
        )

    @contextmanager
    def video(
        self,
        source: int | str | Path,
        *,
        smoothing: float = PipelineSpec.smoothing,
        search_every: float = PipelineSpec.detect_every,
        every: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
        every_frame: int = 1,
        recognise: bool | Circle = False,
        people: str | Path | None = None,
        exclude: str | Path | None = None,
    ) -> Generator[Iterator[AnalysedFrame], None, None]:
        """Yield the frames of a video or a camera with their faces, as they arrive.

        ``with predictor.video("in.mp4") as frames: for frame in frames: print(frame.time, frame.faces)``

        Args:
            source: Path of a file, an address, or the index of a camera; closed at the end of the ``with`` block.
            smoothing: Window in seconds over which answers are averaged, at most 60; 0 for none. It lies around each
                frame of a file; the answers of a camera or a stream fade.
            search_every: Seconds between two searches for faces; in between, faces are tracked. A search comes earlier
                if no face is left or the image has changed. 0 to search every frame.
            every: Seconds between two frames that are analysed, at any frame rate; 0 for every frame. Frames keep their
                numbers and times.
            start, end: Part of the video to analyse, in seconds; ``None`` for its end.
            every_frame: Only every n-th frame is analysed, in place of ``every``.
            recognise: Whether to tell people apart across cuts: each face then has a ``person``, for the time being. Or
                the answer of :meth:`recognise_people`, to share people between videos.
            people, exclude: Folders of photographs, see :meth:`recognise_people`.

        A frame that cannot be decoded is left out with a warning. Any other problem with a frame is reported in its
        ``error``.

        Raises:
            VideoError: The video cannot be opened (on entering the block), or no frame can be decoded.
            MissingExtraError: The extra ``video`` is not installed.
            RecognitionError: People cannot be recognised, see :meth:`recognise_people`.
            ValueError: A number is out of its range.
        """
        pipeline = self.pipeline.tune(smoothing=smoothing, detect_every=search_every)
        kind, where = ("camera", str(source)) if isinstance(source, int) else ("video", source)
        pipeline = self._recognise(pipeline, recognise, people, exclude)
        opened = open_source(kind, where, excerpt=_make_excerpt(every, start, end, every_frame))
        with closing(opened), closing(pipeline.results(opened, keep_images=True)) as results:
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
        every: float = 0.0,
        end: float | None = None,
        every_frame: int = 1,
        anonymise: bool = False,
    ) -> None:
        """Analyse a webcam until q or Ctrl-C is pressed, the window is closed or the camera is disconnected.

        Args:
            camera_index: Index of the camera.
            save_video: Whether to write a video with the faces drawn.
            output_path: Path of that video; default: ``output.avi``.
            display: Whether to show the video in a window.
            smoothing: See :meth:`video`.
            search_every, every, every_frame: See :meth:`video`.
            end: Seconds after which to stop; ``None`` for never.
            anonymise: Whether to make the faces unrecognisable, in the window and in the video, see
                :func:`cmaen.annotate`.

        Raises:
            DetectorError: The detector that finds the faces to hide cannot be loaded.
            VideoError: The camera does not exist, or there is no display.
            OutputError: The video cannot be written.
            MissingExtraError: The extra ``video`` is not installed.
            ValueError: A number is out of its range.
        """
        pipeline = self.pipeline.tune(smoothing=smoothing, detect_every=search_every)
        excerpt = _make_excerpt(every, 0.0, end, every_frame)
        anonymiser = Anonymiser(build_searchers(), ahead=0) if anonymise else None
        with closing(open_source("camera", str(camera_index), excerpt=excerpt)) as camera:
            sinks: list[Sink] = [open_sink("window")] if display else []
            if save_video:
                sinks.append(open_sink("video", Path(output_path or "output.avi"), camera))
            run(camera, pipeline, sinks, anonymiser=anonymiser)

    def _recognise(
        self,
        pipeline: FacePipeline,
        recognise: bool | Circle,
        people: str | Path | None,
        exclude: str | Path | None,
    ) -> FacePipeline:
        """Let a pipeline recognise the people of its next video, if that is wanted."""
        if isinstance(recognise, Circle):
            if people is not None or exclude is not None:
                raise ValueError("recognise already knows who is known and excluded; leave out people and exclude")
            return replace(pipeline, people=FilmPeople(recognise))
        if not recognise and people is None and exclude is None:
            return pipeline
        return replace(pipeline, people=FilmPeople(self._open_circle(recognise, people, exclude)))

    def _open_circle(self, recognise: bool, people: str | Path | None, exclude: str | Path | None) -> Circle:
        return open_circle(
            self.pipeline.detect,
            people=None if people is None else Path(people),
            exclude=None if exclude is None else Path(exclude),
            recognise=recognise,
            max_pixels=self.pipeline.tuning.max_pixels,
        )


def _make_excerpt(every: float, start: float, end: float | None, every_frame: int) -> Excerpt:
    """Make the excerpt of a caller, who may still mean frames by ``every``: a whole number is a number of them."""
    excerpt = Excerpt(every, start, end, every_frame)
    if isinstance(every, int) and every:
        warn_changed(
            f"every={every} now means one frame in {every} s; for every n-th frame, use every_frame={every}; "
            f"to keep this meaning without this warning, write every={every}.0"
        )
    return excerpt
