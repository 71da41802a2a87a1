"""The distributed mode as files: docker-compose.yml, the Dockerfile and the secrets, held to the
registry of services."""

import base64
import hashlib
import importlib.util
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from chassis.auth import internal
from chassis.runtime.settings import load
from clientele import registry
from contracts import OUTSIDERS
from devtools.ports import free_port
from devtools.servers import rabbitmq
from gateway.config import Settings as GatewaySettings
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/service.Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
REGISTRY = registry.entries()
DATA_SERVICES = [service.name for service in registry.services()]
ROLES = ("web", "listen", "relay", "tick", "migrate", "topology")
PAGES = {f"console-{role}" for role in ("web", "migrate")}
# Services with CSV, PDF or streams have a second web role for them.
DOWNLOADS = {f"{service}-downloads" for service in ("org", "billing")}
ONCE = ("migrate", "topology", "bootstrap")
STAY = {name for name in SERVICES if not name.endswith(ONCE)}
SECRET = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|CALLERS|^(DATABASE|BROKER|BROKER_ADMIN|MAIL)_URL")
MOUNTED = "/run/secrets/"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make(tmp_path / "secrets")
    return tmp_path / "secrets"


def make(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "deploy/secrets.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_confined(service: str) -> None:
    settings = SERVICES[service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"] and "cap_add" not in settings
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in settings["tmpfs"]
    assert settings["init"] is True and settings["stop_grace_period"]
    assert settings["mem_limit"] and settings["pids_limit"]
    assert (
        not {"privileged", "pid", "ipc", "network_mode", "devices", "env_file", "container_name"}
        & settings.keys()
    )
    assert settings["restart"] == ("unless-stopped" if service in STAY else "no")


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_is_root(service: str) -> None:
    user = SERVICES[service].get("user")
    assert user not in ("root", "0", 0)
    assert (user is None) == (service in OURS), (
        "ours take the user of their image, the others are told"
    )


@pytest.mark.parametrize("service", sorted(STAY))
def test_every_long_running_container_has_a_health_check(service: str) -> None:
    if service in OURS:
        assert "healthcheck" not in SERVICES[service], "the image has one"
    else:
        assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("service", SERVICES)
def test_secrets_come_as_files(service: str) -> None:
    given, environment = (
        SERVICES[service].get("secrets", []),
        SERVICES[service].get("environment", {}),
    )
    for name, value in environment.items():
        assert not SECRET.search(name) or name.endswith("_FILE"), name
        assert not re.search(r"://[^/]*@", str(value)), name
        if name.endswith("_FILE"):
            assert value.removeprefix(MOUNTED) in given, name
    if service in OURS:
        read = {
            value.removeprefix(MOUNTED)
            for name, value in environment.items()
            if name.endswith("_FILE")
        }
        assert read == set(given), "no container has a secret it does not read"


def test_every_role_of_every_service_runs() -> None:
    wanted = {f"{service}-{role}" for service in DATA_SERVICES for role in ROLES}
    assert wanted | PAGES | DOWNLOADS | {"membership-bootstrap", "gateway"} == OURS.keys()
    for name in wanted | PAGES:
        service, role = name.split("-")
        assert OURS[name]["command"] == ["python", "-m", service, role]
        assert OURS[name]["build"]["args"] == {"SERVICE": service}
    assert OURS["gateway"]["command"] == ["python", "-m", "gateway", "web"]
    for service in OURS.values():
        assert (ROOT / service["build"]["dockerfile"]).samefile(DOCKERFILE)


def test_each_role_gets_only_the_secrets_it_needs() -> None:
    for service in DATA_SERVICES:
        for role in ROLES:
            environment = OURS[f"{service}-{role}"]["environment"]
            login = "owner" if role == "migrate" else "app"
            database = None if role == "topology" else f"{MOUNTED}{service}_{login}_database_url"
            broker = f"{MOUNTED}{service}_broker_url" if role in ("listen", "relay") else None
            admin = f"{MOUNTED}admin_broker_url" if role == "topology" else None
            assert environment.get("DATABASE_URL_FILE") == database
            assert environment.get("BROKER_URL_FILE") == broker
            assert environment.get("BROKER_ADMIN_URL_FILE") == admin


def test_containers_wait_for_what_they_depend_on() -> None:
    done, healthy = "service_completed_successfully", "service_healthy"
    for service in DATA_SERVICES:
        for role in ROLES[:4]:
            needs = {
                name: need["condition"]
                for name, need in OURS[f"{service}-{role}"]["depends_on"].items()
            }
            topology = {f"{service}-topology": done} if role in ("listen", "relay") else {}
            assert needs == {f"{service}-migrate": done, **topology}
        assert OURS[f"{service}-migrate"]["depends_on"] == {"postgres": {"condition": healthy}}
        assert OURS[f"{service}-topology"]["depends_on"] == {"broker": {"condition": healthy}}
    routed = [name for name, service in REGISTRY.items() if service.paths]
    webs = {name: {"condition": healthy} for name in (*(f"{r}-web" for r in routed), *DOWNLOADS)}
    assert OURS["console-web"]["depends_on"] == {"console-migrate": {"condition": done}}
    assert OURS["console-migrate"]["depends_on"] == {"postgres": {"condition": healthy}}
    assert OURS["gateway"]["depends_on"] == {"membership-bootstrap": {"condition": done}, **webs}
    assert SERVICES["front"]["depends_on"] == {
        "gateway": {"condition": healthy},
        "console-web": {"condition": healthy},
    }


def test_only_the_front_publishes_a_port() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["front"]
    [port] = SERVICES["front"]["ports"]
    assert port == "${CLIENTELE_BIND:-127.0.0.1}:${CLIENTELE_PORT:-8443}:8443"


def test_who_can_reach_whom() -> None:
    members: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for network in service["networks"]:
            members.setdefault(network, set()).add(name)
    webs = {f"{service}-web" for service in DATA_SERVICES} | DOWNLOADS

    assert members["front"] == {"front", "gateway"}
    assert members["pages"] == {"front", "console-web"}
    assert members["pages-api"] == {"console-web", "gateway"}
    assert members["pages-data"] == {"console-web", "console-migrate", "postgres"}
    assert members["inside"] >= webs | {"gateway"}
    assert members["data"] >= webs | {"postgres", "broker"}
    assert not members["inside"] & {"front", "console-web", "postgres", "broker"}
    assert not members["data"] & {"front", "console-web", "gateway"}
    assert members["mail"] == {"membership-tick"}
    assert members["inside"] == webs | {"gateway"}
    open_networks = {
        name for name, network in COMPOSE["networks"].items() if not (network or {}).get("internal")
    }
    assert open_networks == {"front", "mail"}


def test_only_proxies_say_who_the_client_is() -> None:
    subnets = {
        name: COMPOSE["networks"][name]["ipam"]["config"][0]["subnet"]
        for name in ("front", "pages", "pages-api")
    }

    assert len(set(subnets.values())) == 3
    assert OURS["console-web"]["environment"]["TRUSTED_PROXIES"] == subnets["pages"]
    assert (
        OURS["gateway"]["environment"]["TRUSTED_PROXIES"]
        == f"{subnets['front']},{subnets['pages-api']}"
    )


def test_the_gateway_has_an_address_for_each_service_it_routes_to() -> None:
    environment = OURS["gateway"]["environment"]
    routed = [name for name, service in REGISTRY.items() if service.paths]

    assert {f"{name.upper()}_URL": f"http://{name}-web:8000" for name in routed}.items() <= (
        environment.items()
    )
    own = {f"{name.partition('-')[0].upper()}_DOWNLOADS_URL": name for name in DOWNLOADS}
    assert {variable: f"http://{name}:8000" for variable, name in own.items()}.items() <= (
        environment.items()
    )
    assert "COPY deploy/services.toml /app/" in DOCKERFILE.read_text()
    assert environment["REGISTRY"] == "/app/services.toml"


def test_downloads_have_as_many_threads_as_a_gateway_admits() -> None:
    for name in DOWNLOADS:
        web, downloads = SERVICES[f"{name.partition('-')[0]}-web"], SERVICES[name]
        assert downloads["command"] == web["command"]
        changed = {"WEB_WORKERS", "WEB_THREADS"}
        assert {**web["environment"], **dict.fromkeys(changed)} == {
            **downloads["environment"],
            **dict.fromkeys(changed),
        }
        assert downloads["environment"]["WEB_THREADS"] > GatewaySettings.downloads


def test_each_service_with_a_database_gets_one(tmp_path: Path) -> None:
    """The script that PostgreSQL's image runs on an empty volume, with a psql that only prints."""
    make(tmp_path / "secrets")
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\ncat\n")
    psql.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SECRETS": f"{tmp_path}/secrets"}

    printed = subprocess.run(
        [ROOT / "deploy/postgres/databases.sh"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert sorted(re.findall(r"^\\set name (\w+)$", printed, re.M)) == sorted(
        registry.with_database()
    )
    passwords = re.findall(r"^\\set (?:owner|app)_password `cat .+`$", printed, re.M)
    assert len(passwords) == 2 * len(registry.with_database())


@pytest.mark.parametrize(
    "name",
    sorted(
        OURS.keys()
        - {f"{service}-{role}" for service in DATA_SERVICES for role in ("migrate", "topology")}
        - {"console-migrate"}
    ),
)
def test_every_required_setting_is_present(
    name: str, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings that each service requires, read as in the container."""
    service = name.partition("-")[0]
    for variable in list(os.environ):
        monkeypatch.delenv(variable)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, by_default(str(value)).replace(MOUNTED, f"{secrets}/"))
    role = OURS[name]["command"][-1]
    settings = load(importlib.import_module(f"{service}.config").Settings, role)
    read = {
        "database_url": f"{service}_app_database_url",
        "internal_secret": f"{service}_internal_secret" if role == "web" else "",
        "broker_url": f"{service}_broker_url" if role in ("listen", "relay") else "",
        "signing_key": "signing_key" if role == "web" else "",
        "pepper": "pepper" if role == "web" else "",
        "mail_url": "mail_url" if role == "tick" else "",
        "clientele_admin_password": "admin_password" if role == "bootstrap" else "",
    }
    for field, secret in read.items():
        if hasattr(settings, field):
            wanted = (secrets / secret).read_text().rstrip("\n") if secret else ""
            assert getattr(settings, field) == wanted, field


def by_default(value: str) -> str:
    """The value with nothing set in the environment."""
    while (less := re.sub(r"\$\{\w+:-([^${}]*)}", r"\1", value)) != value:
        value = less
    return value


def test_each_service_knows_its_internal_callers(secrets: Path) -> None:
    """The code names its callers in `@internal(...)`; their digests must be there."""
    for service in DATA_SERVICES:
        code = "\n".join(file.read_text() for file in (ROOT / "services" / service).rglob("*.py"))
        wanted = {
            name
            for names in re.findall(r"@internal\(([^)]*)\)", code)
            for name in re.findall(r"\w+", names)
        }
        known = internal.parse_callers((secrets / f"{service}_internal_callers").read_text())
        assert wanted | {"gateway"} == known.keys() == set(REGISTRY[service].callers), service


def test_every_service_can_be_scaled() -> None:
    for name, service in OURS.items():
        assert not {"ports", "container_name", "hostname", "volumes"} & service.keys(), name


def test_mounted_files_exist() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                assert (ROOT / source).is_file() and rest.endswith(":ro"), f"{name}: {volume}"
            else:
                assert source in COMPOSE["volumes"]
    assert os.access(ROOT / "deploy/postgres/databases.sh", os.X_OK)


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE.read_text(), re.M)
    assert len(images) == 4
    for image in images:
        assert re.search(r":\d[\w.-]+@sha256:[0-9a-f]{64}}?$", image), image
        assert "latest" not in image


def test_it_conforms_to_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    problems = [
        f"{'/'.join(map(str, e.path))}: {e.message}"
        for file in ("docker-compose.yml", "deploy/compose.tls.yml")
        for e in Draft202012Validator(schema).iter_errors(yaml.safe_load((ROOT / file).read_text()))
    ]
    assert problems == []


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/service.Dockerfile"])
def test_there_are_no_failpoints_in_production(file: str) -> None:
    assert "CLIENTELE_FAILPOINT" not in (ROOT / file).read_text()


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    lines = [
        line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word, rest)
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def test_the_last_stage_has_no_tools_and_no_root() -> None:
    instructions_ = instructions()
    starts = [n for n, (word, _) in enumerate(instructions_) if word == "FROM"]
    assert [rest for word, rest in instructions_ if word == "FROM"] == [
        "${PYTHON_IMAGE} AS declarations",
        "${PYTHON_IMAGE} AS build",
        "${PYTHON_IMAGE}",
    ]
    last = instructions_[starts[-1] :]
    assert [rest for word, rest in last if word == "USER"] == ["10001:10001"]
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /app /app"]
    [run] = [rest for word, rest in last if word == "RUN"]
    assert "pip uninstall" in run and "install " not in run.replace("uninstall ", "")
    assert not [word for word, _ in instructions_ if word == "ADD"]
    assert any("PYTHONUNBUFFERED=1" in rest for word, rest in last if word == "ENV")


def test_no_secrets_in_the_image() -> None:
    for word, rest in instructions():
        if word in ("ARG", "ENV"):
            assert not re.search(r"SECRET|PASSWORD|_KEY|TOKEN|_URL", rest), rest
    allowed = (ROOT / "deploy/service.Dockerfile.dockerignore").read_text().splitlines()
    assert allowed[0] == "*" and not [line for line in allowed if "secrets" in line]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of the stage of this name."""
    instructions_ = instructions()
    start = instructions_.index(("FROM", f"${{PYTHON_IMAGE}} AS {name}"))
    ends = [n for n, (word, _) in enumerate(instructions_) if word == "FROM" and n > start]
    return instructions_[start + 1 : ends[0]]


def test_the_libraries_layer_needs_the_lock_and_every_member(tmp_path: Path) -> None:
    """Without every member uv refuses the workspace. With code in it, every change would rebuild
    the libraries."""
    for word, rest in stage("declarations"):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy_into(tmp_path / target, ROOT / source)
        elif word == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=tmp_path, check=True)
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"][
        "members"
    ]
    members = {
        str(file.relative_to(ROOT))
        for glob in globs
        for file in ROOT.glob(f"{glob}/pyproject.toml")
    }
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == members | {"pyproject.toml", "uv.lock"}

    build = stage("build")
    syncs = [n for n, (word, rest) in enumerate(build) if word == "RUN" and "uv sync" in rest]
    before = [rest for word, rest in build[: syncs[0]] if word == "COPY"]
    assert before == ["--from=declarations /declarations ./"]
    for n in syncs:
        assert {"--frozen", "--no-dev", "--no-editable"} <= set(build[n][1].split())


def copy_into(target: Path, source: Path) -> None:
    """As COPY does: a folder's content, or a file into a folder."""
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
        shutil.copytree(source, target, ignore=ignore)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


class Ready(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int, context: ssl.SSLContext | None = None) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), type("Answer", (Ready,), {"status": status})) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        yield str(server.server_port)
        server.shutdown()


def is_healthy(port: str, health_port: str) -> bool:
    [check] = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    command = json.loads(check.partition(" CMD ")[2])
    environment = {**os.environ, "PORT": port, "HEALTH_PORT": health_port}
    run = subprocess.run(
        [sys.executable, *command[1:]], env=environment, capture_output=True, check=False
    )
    return run.returncode == 0


def test_the_health_check_checks_the_running_role() -> None:
    nobody = str(free_port())
    with answering(200) as well, answering(503) as ill:
        assert is_healthy(well, nobody) and is_healthy(nobody, well)
        assert (
            not is_healthy(ill, nobody)
            and not is_healthy(nobody, ill)
            and not is_healthy(nobody, nobody)
        )
        assert not is_healthy(ill, well), "a web that is not ready hides behind nothing"


def test_the_secrets_are_those_that_compose_needs(secrets: Path) -> None:
    wanted = {
        secret["file"].removeprefix("deploy/secrets/") for secret in COMPOSE["secrets"].values()
    }
    made = {file.name for file in secrets.iterdir()}
    assert wanted <= made
    outside = {f"{user}_broker_url" for user in OUTSIDERS}
    assert outside <= made - wanted, "their operators receive these by hand"
    assert all(
        name == ".gitignore" or name.endswith("_broker_password")
        for name in made - wanted - outside
    )
    assert wanted == {
        name for service in SERVICES.values() for name in service.get("secrets", [])
    } | {"admin_password"}
    assert wanted == COMPOSE["secrets"].keys()


def test_secrets_are_closed_to_others_and_made_once(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o444}
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    assert make(secrets).endswith(": 0 made\n")
    assert before == {file.name: file.read_text() for file in secrets.iterdir()}
    passwords = [text for name, text in before.items() if name.endswith(("password", "secret"))]
    assert len(set(passwords)) == len(passwords) and all(len(text) == 64 for text in passwords)


def test_derived_secrets_match(secrets: Path) -> None:
    read = {file.name: file.read_text() for file in secrets.iterdir()}
    for name in ("gateway", "org"):
        digest = hashlib.sha256(read[f"{name}_internal_secret"].encode()).hexdigest()
        assert f"{name}={digest}" in read["billing_internal_callers"].split(",")
    password = read["org_app_password"]
    assert (
        read["org_app_database_url"] == f"postgresql+psycopg://org_app:{password}@postgres:5432/org"
    )
    assert read["signing_key"].startswith("-----BEGIN PRIVATE KEY-----")
    definitions = json.loads(read["broker_definitions"])
    rights = {right["user"]: right for right in definitions["permissions"]}
    for user in ("admin", *DATA_SERVICES, *OUTSIDERS):
        assert (
            read[f"{user}_broker_url"]
            == f"amqp://{user}:{read[f'{user}_broker_password']}@broker:5672/clientele"
        )
        assert (rights[user]["configure"] == "^$") == (user != "admin")
    tried = rabbitmq.definitions(dict.fromkeys((*DATA_SERVICES, *OUTSIDERS), ""))["permissions"]
    assert [rights[right["user"]] for right in tried] == tried, "the rights that the tests run with"
    assert {user["name"] for user in definitions["users"]} == {"admin", *DATA_SERVICES, *OUTSIDERS}
    for user in definitions["users"]:
        assert "password" not in user
        salted = base64.b64decode(user["password_hash"])
        password = read[f"{user['name']}_broker_password"].encode()
        assert salted[4:] == hashlib.sha256(salted[:4] + password).digest()


def secrets_module() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("deploy_secrets", ROOT / "deploy/secrets.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_secret_is_replaced_in_three_steps(secrets: Path) -> None:
    module = secrets_module()

    def files(name: str) -> tuple[str, str]:
        return (secrets / name).read_text(), (secrets / f"previous_{name}").read_text()

    for name in ("signing_key", "pepper"):
        old = files(name)[0]
        with pytest.raises(module.Missing, match="prepare first"):
            module.replace(secrets, "swap", name)
        module.replace(secrets, "prepare", name)
        current, new = files(name)
        assert current == old and new not in ("", old)
        with pytest.raises(module.Missing, match="swap or withdraw"):
            module.replace(secrets, "prepare", name)
        module.replace(secrets, "swap", name)
        assert files(name) == (new, old)
        module.replace(secrets, "withdraw", name)
        assert files(name) == (new, "")
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o444}


def test_a_signing_key_without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    module = secrets_module()
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    assert module.signing_key().startswith("-----BEGIN PRIVATE KEY-----")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(module.Missing, match="openssl"):
        module.signing_key()


def test_secrets_never_reach_the_repository() -> None:
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_a_certificate_without_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = secrets_module()
    monkeypatch.setattr(module.shutil, "which", lambda _: None)

    with pytest.raises(module.Missing, match="tls_certificate"):
        module.main(tmp_path / "secrets")

    (tmp_path / "secrets/tls_certificate").write_text("our own")
    module.main(tmp_path / "secrets")
    assert (tmp_path / "secrets/tls_certificate").read_text() == "our own"
