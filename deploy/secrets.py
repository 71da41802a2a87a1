"""Makes what nobody else may know: `python3 deploy/secrets.py` fills deploy/secrets/ for
docker-compose.yml.

What is already there is kept. To change a secret, delete its file and those made from it, and run
this again. The folder is closed to everybody else; the files in it are readable, because compose
mounts a file as it is and the containers run as other users than its owner.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SERVICES = ("org", "billing", "membership")
# Who has a database: these, and the console, which speaks to nobody but the gateway.
DATABASES = (*SERVICES, "console")
# Who is no service of ours but speaks to them: rates calls, meters. Its password goes to whoever
# runs that.
OUTSIDERS = ("usage",)
# The queues of a service beside its inbox and its dead letters.
READ_BESIDE = {"billing": ("usage",)}
# Who may ask whose /internal/*.
CALLERS = {"org": ("gateway",), "billing": ("gateway", "org"), "membership": ("gateway", "org")}
VHOST = "clientele"


class Missing(Exception):
    """Something this needs is not on this machine; the message says what."""


class Folder:
    """Secrets as files. Each is made once and then stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[str] = []
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)

    def keep(self, name: str, new: str | Callable[[], str]) -> str:
        """The secret of this name; the new one unless it is there."""
        file = self.path / name
        if not file.exists():
            draft = file.with_suffix(".new")
            draft.write_text(new if isinstance(new, str) else new())
            draft.chmod(0o444)
            draft.rename(file)
            self.made.append(name)
        return file.read_text()


def main(path: Path) -> None:
    """Fill the folder and say what is new in it."""
    folder = Folder(path)
    folder.keep(".gitignore", "*\n")
    make_database_secrets(folder)
    make_broker_secrets(folder)
    make_internal_secrets(folder)
    folder.keep("signing_key", signing_key)
    folder.keep("pepper", password)
    folder.keep("admin_password", password)
    folder.keep("mail_url", "smtp://mail.invalid:25")
    say(f"{path}: {len(folder.made)} made" + "".join(f"\n  {name}" for name in folder.made))
    if "mail_url" in folder.made:
        say(
            f"Write into {path / 'mail_url'} where mails are handed over: smtp://user:password@host:port"
        )


def make_database_secrets(folder: Folder) -> None:
    """The server's administrator and each service's two logins."""
    folder.keep("postgres_password", password)
    for service in DATABASES:
        for login in ("owner", "app"):
            given = folder.keep(f"{service}_{login}_password", password)
            url = f"postgresql+psycopg://{service}_{login}:{given}@postgres:5432/{service}"
            folder.keep(f"{service}_{login}_database_url", url)


def make_broker_secrets(folder: Folder) -> None:
    """The broker's users, for them and for the broker."""
    passwords = {
        user: folder.keep(f"{user}_broker_password", password)
        for user in ("admin", *SERVICES, *OUTSIDERS)
    }
    for user, given in passwords.items():
        url = f"amqp://{user}:{given}@broker:5672/{VHOST}"
        folder.keep(f"{user}_broker_url", url)
    folder.keep("broker_definitions", json.dumps(definitions(passwords), indent=2))


def make_internal_secrets(folder: Folder) -> None:
    """With which the services ask one another, and whom each lets in."""
    given = {
        name: folder.keep(f"{name}_internal_secret", password) for name in (*SERVICES, "gateway")
    }
    for service, callers in CALLERS.items():
        digests = {caller: hashlib.sha256(given[caller].encode()).hexdigest() for caller in callers}
        line = ",".join(f"{caller}={digest}" for caller, digest in digests.items())
        folder.keep(f"{service}_internal_callers", line)


def definitions(passwords: dict[str, str]) -> dict[str, object]:
    """What the broker begins with: each writes to its own exchange and declares nothing; a service
    reads its queues."""
    queues = {user: "|".join(("inbox", "dead", *READ_BESIDE.get(user, ()))) for user in SERVICES}
    rights = {user: (f"^{user}$", rf"^{user}\.({queues[user]})$", "^$") for user in SERVICES}
    rights |= {user: (f"^{user}$", "^$", "^$") for user in OUTSIDERS}
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
                "password_hash": broker_hash(given),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for user, given in passwords.items()
        ],
        "permissions": [
            {"user": user, "vhost": VHOST, "write": write, "read": read, "configure": configure}
            for user, (write, read, configure) in rights.items()
        ],
    }


def broker_hash(given: str) -> str:
    """RabbitMQ's form: four bytes of salt before their SHA-256 with the password."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + given.encode()).digest()).decode()


def password() -> str:
    """256 random bits that need no quoting in a URL."""
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


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("secrets"))
    except Missing as problem:
        sys.exit(str(problem))
