"""Settings of Django. The server, the user and the password come from the environment that libpq
reads."""

import os

SECRET_KEY = "nothing is signed"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.contenttypes", "mptt", "hordak"]
# Without middleware there are no sessions, and no tokens in forms that a client would have to send.
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "tests.bench.peers.hordak_app.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        # Each thread keeps its connection, as in our services.
        "CONN_MAX_AGE": None,
    }
}
USE_TZ = True
DEFAULT_CURRENCY = "SGD"
CURRENCIES = ["SGD"]
HORDAK_INTERNAL_CURRENCY = "SGD"
