"""Settings from environment and files, and secrets that are never printed."""

import copy
import dataclasses
import json
import logging
import pickle
from pathlib import Path

import pytest
from chassis.runtime import log, roles
from chassis.runtime.settings import Misconfigured, Secret, ServiceSettings, load, needed_by
from org.app import SERVICE as ORG
from structlog.testing import capture_logs


class TestSettings:
    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DATABASE_URL", "BROKER_URL", "PORT", "WEB_THREADS"):
            monkeypatch.delenv(name, raising=False)

    def test_everything_missing_or_wrong_is_named_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PORT", "eighty")
        monkeypatch.setenv("WEB_THREADS", "many")

        with pytest.raises(Misconfigured) as problem:
            load(ServiceSettings)

        assert all(name in str(problem.value) for name in ("DATABASE_URL", "PORT", "WEB_THREADS"))

    def test_a_setting_can_be_read_from_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "url").write_text("sqlite:///x.db\n")
        monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))

        assert load(ServiceSettings).database_url == "sqlite:///x.db"

    def test_a_role_reads_only_what_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DATABASE_URL", "BROKER_URL", "INTERNAL_SECRET"):
            monkeypatch.setenv(name, f"the {name}")
        read = {
            role: (settings.broker_url, settings.internal_secret)
            for role in ("", "web", "listen", "relay", "tick", "command")
            if (settings := load(ServiceSettings, role)).database_url == "the DATABASE_URL"
        }

        assert read == {
            "": ("the BROKER_URL", "the INTERNAL_SECRET"),
            "web": ("", "the INTERNAL_SECRET"),
            "listen": ("the BROKER_URL", ""),
            "relay": ("the BROKER_URL", ""),
            "tick": ("", ""),
            "command": ("", ""),
        }

    def test_what_another_role_needs_may_be_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Settings(ServiceSettings):
            signing_key: Secret = needed_by("web")

        monkeypatch.setenv("DATABASE_URL", "sqlite:///x.db")

        assert load(Settings, "tick").signing_key == ""
        with pytest.raises(Misconfigured, match="SIGNING_KEY"):
            load(Settings, "web")

    def test_a_secret_never_prints_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "sqlite:///hidden.db")

        settings = load(ServiceSettings)
        url = settings.database_url

        assert "hidden" not in f"{settings!r} {settings} {url} {url!r} {url:>30}"
        assert "hidden" not in "%s %r" % (url, url)  # noqa: UP031 - both ways to format
        assert "hidden" not in str(url)
        assert settings.port == 8000

    def test_a_secret_is_the_string_that_it_holds(self) -> None:
        secret = Secret(Secret("amqp://user:hidden@host"))

        assert secret == "amqp://user:hidden@host"
        assert secret + "/" == "amqp://user:hidden@host/"
        assert secret.encode() == b"amqp://user:hidden@host"
        assert secret.split(";") == ["amqp://user:hidden@host"]
        assert pickle.loads(pickle.dumps(secret)) == secret
        assert copy.deepcopy(secret) == secret

    def test_a_secret_is_never_logged(self, capsys: pytest.CaptureFixture[str]) -> None:
        secret, root = Secret("hidden"), logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            log.start(service="test")
            log.get("test").info(
                "event", value=secret, nested={"values": [secret]}, tuple=(secret, 1)
            )
            logging.getLogger("library").warning("%s %r", secret, secret)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)

        logged = capsys.readouterr().err
        assert logged.count("***") >= 5
        assert "hidden" not in logged

    def test_a_logger_follows_a_further_start(self, capsys: pytest.CaptureFixture[str]) -> None:
        root = logging.getLogger()
        handlers, level, logger = root.handlers[:], root.level, log.get("test")
        try:
            for service in ("first", "second"):
                log.start(service=service)
                logger.info("event")
            with capture_logs() as captured:
                logger.info("captured")
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)

        services = [json.loads(line)["service"] for line in capsys.readouterr().err.splitlines()]
        assert services == ["first", "second"]
        assert [line["event"] for line in captured] == ["captured"]


@pytest.mark.parametrize(("given", "level"), [("warning", logging.WARNING), ("", logging.INFO)])
def test_every_role_logs_from_the_level_that_is_set(
    given: str, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    for name in ("DATABASE_URL", "BILLING_URL", "MEMBERSHIP_URL"):
        monkeypatch.setenv(name, "none")
    if given:
        monkeypatch.setenv("LOG_LEVEL", given)

    roles.settings_of(ORG, "tick")

    assert root.level == level


def test_an_unknown_log_level_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="LOG_LEVEL must be DEBUG"):
        log.start("LOUD")
