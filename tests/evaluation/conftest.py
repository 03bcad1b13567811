"""Reports that are drawn once, as a user would see them: that takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import made_once

if TYPE_CHECKING:
    from cmaen.evaluation.report import Report


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report with all its parts."""
    from tests.evaluation.test_report import drawn, everything

    return made_once(tmp_path_factory, "full-report", lambda: drawn(**everything()))


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on sixteen faces that are all answered right."""
    from tests.evaluation.test_report import report_on_few

    return made_once(tmp_path_factory, "few-faces-report", report_on_few)
