"""A check of OpenCV when it is first needed: its packages can be installed over each other, which damages it."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from cmaen.errors import BrokenInstallationError, describe

_PACKAGES = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_NEEDED = ("FaceDetectorYN", "INTER_AREA", "error", "resize", "setNumThreads", "warpAffine")


def check_opencv() -> None:
    """Check that OpenCV can be imported and has the functions that are needed.

    Raises:
        BrokenInstallationError: It cannot or does not; the message says how to repair it.
    """
    try:
        import cv2
    except Exception as error:  # a missing library, NumPy of another version, files of two packages
        raise _broken(describe(error)) from error
    missing = [name for name in _NEEDED if not hasattr(cv2, name)]
    if missing:
        raise _broken(f"it has no {', '.join(missing)}")


def _broken(why: str) -> BrokenInstallationError:
    installed = dict[str, str]()
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    names = " and ".join(f"{name} {number}" for name, number in installed.items()) or "no package"
    remove = f"pip uninstall -y {' '.join(installed)}, then " if installed else ""
    over = "; they overwrite each other" if len(installed) > 1 else ""
    return BrokenInstallationError(
        f"OpenCV does not work here: {why}; installed: {names}{over}; repair it: {remove}"
        'pip install --force-reinstall "opencv-python-headless>=4.11,<5"'
    )


check_opencv()
