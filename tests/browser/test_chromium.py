"""Finding or installing Chromium."""

import os

import pytest
from devtools.servers import ServerMissing, installation


def test_a_missing_browser_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_find_chromium", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ServerMissing, match=r"Chromium was not found.*apt-get install chromium"):
        installation.chromium()
