"""Recognition for one run, from the folders that a user names."""

from __future__ import annotations

from pathlib import Path

from cmaen.images.reader import MAX_PIXELS
from cmaen.inference.people.circle import Circle
from cmaen.inference.people.embedding import FaceEmbedder
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.people.gallery import Detect, Known, read_gallery
from cmaen.inference.people.pictures import PicturePeople


def open_circle(
    detect: Detect,
    *,
    people: Path | None = None,
    exclude: Path | None = None,
    recognise: bool = False,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Circle:
    """Read the photographs of people who are known or excluded.

    Args:
        detect: Finds the faces of an image.
        people: Folder of photographs of people by name, see :func:`~cmaen.inference.people.gallery.read_gallery`; the
            others are numbered.
        exclude: The same of people whose faces are left out of everything.
        recognise: Whether to number people if none is known by name.
        threads: Threads of the engine; ``None`` for all usable cores.
        max_pixels: Number of pixels above which a photograph is refused.

    Raises:
        RecognitionError: The network that recognises people is missing or damaged.
        GalleryError: A folder cannot be read, or shows nobody.
    """
    embedder = FaceEmbedder(threads=threads)

    def read(folder: Path | None, *, excluded: bool = False) -> list[Known]:
        if folder is None:
            return []
        return list(read_gallery(folder, detect, embedder, excluded=excluded, max_pixels=max_pixels).people)

    return Circle(
        embedder,
        known=read(people),
        excluded=read(exclude, excluded=True),
        recognises=recognise or people is not None,
    )


def begin(circle: Circle, *, moving: bool) -> FilmPeople | PicturePeople:
    """Begin with the next source: a video if it is moving, otherwise still pictures."""
    return FilmPeople(circle) if moving else PicturePeople(circle)
