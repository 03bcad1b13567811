"""The table of all layouts, and the search for the one of a data set."""

from __future__ import annotations

from cmaen.data.contents import Files
from cmaen.data.layouts.affectnet import find_annotations, find_lists
from cmaen.data.layouts.base import Layout, Reading
from cmaen.data.layouts.ckplus import find_ckplus
from cmaen.data.layouts.expw import find_expw
from cmaen.data.layouts.ferplus import find_ferplus
from cmaen.data.layouts.hugging_face import find_hugging_face
from cmaen.data.layouts.jaffe import find_jaffe
from cmaen.data.layouts.kdef import find_kdef
from cmaen.data.layouts.rafdb import find_rafdb

LAYOUTS: dict[str, Layout] = {
    "RAF-DB": find_rafdb,
    "AffectNet, annotations": find_annotations,
    "AffectNet, lists": find_lists,
    "ExpW": find_expw,
    "CK+": find_ckplus,
    "JAFFE": find_jaffe,
    "KDEF": find_kdef,
    "FER+": find_ferplus,
    "Hugging Face": find_hugging_face,
}
"""Functions that recognise each layout; the first that does reads the data set."""


def find_layout(files: Files) -> Reading | None:
    """Read a data set in the published layout that it has; ``None`` if it has none of them.

    Raises:
        DataError: It has one, but cannot be used in it.
    """
    return next((reading for find in LAYOUTS.values() if (reading := find(files)) is not None), None)
