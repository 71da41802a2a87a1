"""Style, types and imports have no findings, as `make check` says."""

import pytest
from devtools import checks


@pytest.mark.parametrize("name", checks.COMMANDS)
def test_a_check_has_no_findings(name: str) -> None:
    checks.run(name)
