# The image of any service: docker build -f deploy/service.Dockerfile --build-arg SERVICE=billing .
# The digest is that of the index for all platforms. How to change it: deploy/README.md.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:fe556eaffd0d96abd8685b83bb8a69addd0dc730fa193669a7df0d49ddcfac02

# What the workspace declares, without its code: the next stage's libraries are rebuilt only when this changes.
FROM ${PYTHON_IMAGE} AS declarations
WORKDIR /declarations
COPY pyproject.toml uv.lock ./
COPY services services
COPY shared shared
COPY deploy/clientele/pyproject.toml deploy/clientele/
COPY tools/devtools/pyproject.toml tools/devtools/
RUN find services shared -type f ! -path "*/*/pyproject.toml" -delete && find . -type d -empty -delete


FROM ${PYTHON_IMAGE} AS build
ARG SERVICE
RUN test -n "$SERVICE" && pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/app UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
WORKDIR /src

# The libraries, from the lock alone.
COPY --from=declarations /declarations ./
RUN uv sync --frozen --no-dev --no-editable --no-install-workspace --package "$SERVICE"

COPY shared shared
COPY services/${SERVICE} services/${SERVICE}
# The files of others that the console's pages load in the browser: exactly as locked, or no image.
COPY deploy/clientele/clientele/assets.py deploy/clientele/clientele/
RUN test "$SERVICE" != console \
    || PYTHONPATH=deploy/clientele/clientele python -c "import assets, sys; sys.exit(assets.fetch() or 0)"
RUN uv sync --frozen --no-dev --no-editable --package "$SERVICE"
COPY deploy/services.toml /app/


FROM ${PYTHON_IMAGE}
RUN pip uninstall --yes --root-user-action=ignore pip setuptools wheel \
    && groupadd --gid 10001 clientele \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin clientele
# TMPDIR: in memory, also where the root is read-only and nothing else is mounted. MALLOC_MMAP_THRESHOLD_: larger blocks are
# given back as soon as they are freed; otherwise each thread that has hashed a password keeps 19 MB. PYTHONTZPATH: without it
# every process loads all settings that Python was built with.
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    MALLOC_MMAP_THRESHOLD_=4194304 PYTHONTZPATH=/usr/share/zoneinfo TMPDIR=/dev/shm PORT=8000 HEALTH_PORT=8001
COPY --from=build /app /app
USER 10001:10001
WORKDIR /app
# The process writes into this file, every few seconds while it is ready, until when that counts. To read it takes no process
# but the shell: an interpreter for each check would cost more than the services at rest.
ENV READINESS_FILE=/dev/shm/ready
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=2 CMD ["sh", "-c", "read -r until < \"$READINESS_FILE\" && read -r uptime idle < /proc/uptime && [ \"${uptime%.*}\" -lt \"$until\" ]"]
