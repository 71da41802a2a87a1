"""Containers of docker-compose.yml, held to the registry of services."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml
from gateway.config import Settings as GatewaySettings
from jsonschema import Draft202012Validator

from tests.deploy.compose.files import (
    COMPOSE,
    DATA_SERVICES,
    DOCKERFILE,
    DOWNLOADS,
    OURS,
    PAGES,
    REGISTRY,
    ROLES,
    ROOT,
    SERVICES,
    STAY,
)


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
    step = "on-failure:5" if service.endswith("-migrate") else "no"
    assert settings["restart"] == ("unless-stopped" if service in STAY else step)


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
    schema = json.loads((Path(__file__).parents[1] / "compose-spec.json").read_text())
    problems = [
        f"{'/'.join(map(str, e.path))}: {e.message}"
        for file in ("docker-compose.yml", "deploy/compose.tls.yml")
        for e in Draft202012Validator(schema).iter_errors(yaml.safe_load((ROOT / file).read_text()))
    ]
    assert problems == []


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/service.Dockerfile"])
def test_there_are_no_failpoints_in_production(file: str) -> None:
    assert "CLIENTELE_FAILPOINT" not in (ROOT / file).read_text()
