"""Check PINs, as a door or a telephone system would: an example of a program that calls with an API
key.

    echo "org_… 100 482913" | CLIENTELE_API_KEY_FILE=key python examples/verify_pin.py
    http://127.0.0.1:8080

Each line of the input names an organization, an extension and a PIN; each line of the output says
whether it is right. The key comes from a file (or from CLIENTELE_API_KEY), never from an argument:
those are for everybody to see.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import urllib3

EARLY = 30  # seconds before its end that a token is renewed
TRIES = 5


class Refused(Exception):
    """The system said no; ``status`` and ``code`` say why."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.code = status, problem.get("code")


class Client:
    """Calls with an API key: exchanges it for a token of 300 seconds, and remembers that as long as
    it is good."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.key = address.rstrip("/"), key
        self.http = urllib3.PoolManager(retries=False, timeout=30.0)
        self.token, self.good_until = "", 0.0

    def call(self, method: str, path: str, body: Any = None, *, idempotency_key: str = "") -> Any:
        """The answer's body. A call that changes something needs an Idempotency-Key of its own:
        then it can be sent again without happening twice. Raises Refused."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        try:
            return self._send(method, path, body, headers | self._bearer())
        except Refused as refusal:
            if refusal.status != 401:
                raise
        self.token = ""  # it has ended before its time: once more with a new one
        return self._send(method, path, body, headers | self._bearer())

    def _bearer(self) -> dict[str, str]:
        if not self.token or time.monotonic() > self.good_until:
            asked_at = time.monotonic()
            answer = self._send("POST", "/v1/sessions", {"api_key": self.key}, {})
            self.token = answer["access_token"]
            self.good_until = asked_at + answer["expires_in"] - EARLY
        return {"Authorization": f"Bearer {self.token}"}

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        """Send it, and again while the system is away or asks for patience of no more than a
        minute."""
        for left in range(TRIES, -1, -1):
            try:
                answer = self.http.request(method, self.address + path, json=body, headers=headers)
            except urllib3.exceptions.HTTPError:
                if not left:
                    raise
                time.sleep(TRIES - left + 1)
                continue
            if answer.status < 400:
                return answer.json() if answer.data else None
            pause = float(answer.headers.get("Retry-After", TRIES - left + 1))
            if answer.status not in (429, 502, 503, 504) or not left or pause > 60:
                raise Refused(answer.status, _problem(answer))
            time.sleep(pause)
        return None


def _problem(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    is_json = answer.headers.get("Content-Type", "").endswith("json")
    return (
        answer.json() if is_json else {"code": "unknown", "detail": "Not an answer of the system."}
    )


def key() -> str:
    """The API key that this program was given."""
    file = os.environ.get("CLIENTELE_API_KEY_FILE")
    found = (
        Path(file).read_text(encoding="utf-8") if file else os.environ.get("CLIENTELE_API_KEY", "")
    )
    return found.strip() or sys.exit(
        "Set CLIENTELE_API_KEY_FILE to the path of a file with the API key."
    )


def main() -> None:
    """Answer line by line."""
    client = Client(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080", key())
    for line in sys.stdin:
        organization_id, extension, pin = line.split()
        body = {"organization_id": organization_id, "extension": extension, "pin": pin}
        try:
            said = "right" if client.call("POST", "/v1/pins/verify", body)["valid"] else "wrong"
        except Refused as refusal:
            said = str(refusal)
        sys.stdout.write(f"{organization_id} {extension} {said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
