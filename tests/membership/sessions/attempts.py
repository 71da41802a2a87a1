"""Attempts to log in."""

OLGA = "olga@customer.example"


def attempt(service, password, address=OLGA):
    return service.call("POST", "/v1/sessions", {"email": address, "password": password})
