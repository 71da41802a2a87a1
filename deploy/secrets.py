"""Makes the secrets of a deployment: `python3 deploy/secrets.py` fills deploy/secrets/ for
docker-compose.yml.

Needs Python 3.11 and nothing else. Existing secrets are kept. To change one, delete its file and
those derived from it, and run this again; the signing key and the pepper are replaced in steps
(docs/runbook.md): `prepare NAME` makes the next one, in the file of the previous one; `swap NAME`
exchanges the two; `withdraw NAME` empties the file of the previous one.

`tls` makes an authority and certificates of it for TLS between the containers (deploy/README.md).

The folder is closed to other users (0700). The files in it are readable (0444), because compose
mounts a file with the permissions it has and the containers run as users of their own.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

REGISTRY: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("services.toml").read_text()
)
WITH_DATABASE = [name for name, service in REGISTRY.items() if service.get("database")]
WITH_MESSAGES = [name for name, service in REGISTRY.items() if service.get("messages")]
# Service -> who may call its /internal/*.
CALLERS = {name: service["callers"] for name, service in REGISTRY.items() if "callers" in service}
# External producers of messages, such as metering. Each gets a broker login of its own.
OUTSIDERS = ("usage",)
VHOST = "clientele"


STEPS = ("prepare", "swap", "withdraw")


class Missing(Exception):
    """This machine lacks something; the message says what."""


class Folder:
    """Secrets as files. Each is made once and then kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[str] = []
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)

    def write(self, name: str, text: str) -> None:
        """Replace the secret of this name."""
        draft = self.path / f"{name}.new"
        draft.write_text(text)
        draft.chmod(0o444)
        draft.rename(self.path / name)

    def keep(self, name: str, new: str | Callable[[], str]) -> str:
        """The secret of this name; made from ``new`` if there is none."""
        file = self.path / name
        if not file.exists():
            self.write(name, new if isinstance(new, str) else new())
            self.made.append(name)
        return file.read_text()


def main(path: Path) -> None:
    """Fill the folder and print what is new."""
    folder = Folder(path)
    folder.keep(".gitignore", "*\n")
    make_database_secrets(folder)
    make_broker_secrets(folder)
    make_internal_secrets(folder)
    for name, new in REPLACEABLE.items():
        folder.keep(name, new)
        folder.keep(f"previous_{name}", "")
    folder.keep("tls_certificate", certificate)
    folder.keep("admin_password", password)
    folder.keep("mail_url", "smtp://mail.invalid:25")
    print_line(f"{path}: {len(folder.made)} made")
    for name in folder.made:
        print_line(f"  {name}")
    if "mail_url" in folder.made:
        print_line(f"Set {path / 'mail_url'} to your mail server: smtp://user:password@host:port")


def replace(path: Path, step: str, name: str) -> None:
    """A step of replacing a secret."""
    folder, previous = Folder(path), f"previous_{name}"
    current, other = ((path / file).read_text() for file in (name, previous))
    if step == "prepare" and not other:
        folder.write(previous, REPLACEABLE[name]())
    elif step == "swap" and other:
        folder.write(name, other)
        folder.write(previous, current)
    elif step == "withdraw":
        folder.write(previous, "")
    else:
        state = "is empty: prepare first" if not other else "is in use: swap or withdraw it first"
        raise Missing(f"{path / previous} {state}.")


def make_database_secrets(folder: Folder) -> None:
    """The passwords of the server's administrator and of each service's two logins."""
    folder.keep("postgres_password", password)
    for service in WITH_DATABASE:
        for login in ("owner", "app"):
            word = folder.keep(f"{service}_{login}_password", password)
            url = f"postgresql+psycopg://{service}_{login}:{word}@postgres:5432/{service}"
            folder.keep(f"{service}_{login}_database_url", url)


def make_broker_secrets(folder: Folder) -> None:
    """The passwords of the broker's users, and the users as the broker reads them."""
    passwords = {
        user: folder.keep(f"{user}_broker_password", password)
        for user in ("admin", *WITH_MESSAGES, *OUTSIDERS)
    }
    for user, word in passwords.items():
        url = f"amqp://{user}:{word}@broker:5672/{VHOST}"
        folder.keep(f"{user}_broker_url", url)
    folder.keep("broker_definitions", json.dumps(definitions(passwords), indent=2))


def make_tls(path: Path) -> None:
    """An authority of our own and a certificate for each server, and the broker's addresses with
    TLS. Those that exist are kept. Raises Missing."""
    folder = Folder(path)
    if not (path / "tls_authorities").exists():
        key, authority = certified("Clientele", "keyUsage=critical,keyCertSign,cRLSign")
        folder.write("tls_authority_key", key)
        (path / "tls_authority_key").chmod(0o400)
        folder.keep("tls_authorities", authority)
    for name in ("postgres", "broker", *REGISTRY):
        if not (path / f"{name}_tls").exists():
            hosts = (name, f"{name}-web", f"{name}-downloads")
            folder.keep(f"{name}_tls", "".join(certificate_of(path, name, hosts)))
    for user in ("admin", *WITH_MESSAGES, *OUTSIDERS):
        plain = (path / f"{user}_broker_url").read_text()
        address = plain.replace("amqp://", "amqps://").replace(":5672/", ":5671/")
        query = "cacertfile=/run/secrets/tls_authorities"
        folder.keep(f"{user}_broker_tls_url", f"{address}?{query}")
    for name in folder.made:
        print_line(f"  {name}")


def certificate_of(path: Path, name: str, hosts: Iterable[str]) -> tuple[str, str]:
    """A private key and a certificate of our authority for these hosts. Raises Missing."""
    names = ",".join(f"{'IP' if host[0].isdigit() else 'DNS'}:{host}" for host in hosts)
    authority = ("-CA", str(path / "tls_authorities"), "-CAkey", str(path / "tls_authority_key"))
    return certified(
        name,
        "basicConstraints=critical,CA:FALSE",
        "extendedKeyUsage=serverAuth",
        f"subjectAltName={names}",
        signer=authority,
    )


def certified(name: str, *extensions: str, signer: Iterable[str] = ()) -> tuple[str, str]:
    """A private key and a certificate for ten years, PEM. Raises Missing."""
    openssl = shutil.which("openssl")
    if not openssl:
        raise Missing("Certificates need the program openssl (3.0 or newer).")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "3650", "-subj", f"/CN={name}", "-keyout", "-", "-out", "-"]
    command += [*signer, *(word for each in extensions for word in ("-addext", each))]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    key, begin, end = made.partition("-----BEGIN CERTIFICATE-----")
    return key, begin + end


def make_internal_secrets(folder: Folder) -> None:
    """The passwords with which services call each other, and their digests for those called."""
    names = dict.fromkeys([*CALLERS, *(name for callers in CALLERS.values() for name in callers)])
    passwords = {name: folder.keep(f"{name}_internal_secret", password) for name in names}
    for service, callers in CALLERS.items():
        digests = [
            f"{caller}={hashlib.sha256(passwords[caller].encode()).hexdigest()}"
            for caller in callers
        ]
        folder.keep(f"{service}_internal_callers", ",".join(digests))


def definitions(passwords: dict[str, str]) -> dict[str, object]:
    """The broker's users and their permissions: each publishes to its own exchange; a service reads
    its own queues and deletes those of an earlier layout."""
    rights = {}
    for user in WITH_MESSAGES:
        producers = REGISTRY[user].get("queues", ())
        old = "|".join(("inbox", r"inbox\.[0-9]+\.[0-9]+", *producers))
        batches = "".join(rf"|batches\.{producer}" for producer in producers)
        rights[user] = (f"^{user}$", rf"^{user}\.({old}|dead{batches})$", rf"^{user}\.({old})$")
    for user in OUTSIDERS:
        rights[user] = (f"^{user}$", "^$", "^$")
    rights["admin"] = (".*", ".*", ".*")
    return {
        "vhosts": [
            {
                "name": VHOST,
                "default_queue_type": "quorum",
                "metadata": {"default_queue_type": "quorum"},
            }
        ],
        "users": [
            {
                "name": user,
                "password_hash": broker_hash(word),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                # What the topology step needs to set policies by the management API.
                "tags": ["policymaker"] if user == "admin" else [],
            }
            for user, word in passwords.items()
        ],
        "permissions": [
            {"user": user, "vhost": VHOST, "write": write, "read": read, "configure": configure}
            for user, (write, read, configure) in rights.items()
        ],
    }


def broker_hash(word: str) -> str:
    """A password as RabbitMQ stores it: four bytes of salt, then SHA-256 of salt and password."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + word.encode()).digest()).decode()


def password() -> str:
    """256 random bits as hexadecimal digits, which need no quoting in a URL."""
    return os.urandom(32).hex()


def signing_key() -> str:
    """An Ed25519 private key, PEM. Raises Missing."""
    openssl = shutil.which("openssl")
    if openssl:
        command = [openssl, "genpkey", "-algorithm", "ed25519"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise Missing(
            "The signing key needs the program openssl, or Python's package cryptography."
        ) from None
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def certificate() -> str:
    """A private key and a self-signed certificate for this machine, PEM: for trying out. Raises
    Missing."""
    openssl = shutil.which("openssl")
    if not openssl:
        raise Missing(
            "A certificate for trying out needs the program openssl. Or put your own, with its "
            "private key, into the file tls_certificate first."
        )
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "825", "-subj", "/CN=localhost", "-keyout", "-", "-out", "-"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


# The secrets that can be replaced while the system runs.
REPLACEABLE: dict[str, Callable[[], str]] = {"signing_key": signing_key, "pepper": password}


def print_line(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    here = Path(__file__).with_name("secrets")
    try:
        match sys.argv[1:]:
            case [step, name] if step in STEPS and name in REPLACEABLE:
                replace(here, step, name)
            case [step, *_] if step in STEPS:
                sys.exit(f"usage: secrets.py {'|'.join(STEPS)} {'|'.join(REPLACEABLE)}")
            case ["tls", *folders] if len(folders) < 2:
                make_tls(Path(folders[0]) if folders else here)
            case [folder]:
                main(Path(folder))
            case _:
                main(here)
    except Missing as problem:
        sys.exit(str(problem))
