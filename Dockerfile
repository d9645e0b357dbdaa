# The service alone: no compiler, no pip, nobody's home. It runs with a read-only root file system and as nobody:
#   docker run --read-only --tmpfs /tmp --volume provisioning:/data --env-file bot.env …
# It writes to /data, which keeps the embedded store, and to /tmp.
FROM python:3.11-slim AS build

# The slow layer first: it changes only with the pinned requirements.
COPY requirements.txt /
RUN python -m venv --without-pip /opt/venv
# Wheels alone, so that nothing needs a compiler; the fonts are published as a source, in which there is nothing to compile.
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-input \
    --require-hashes --no-deps --only-binary :all: --no-binary font-roboto -r /requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} +

COPY app.py /app/
COPY provisioning /app/provisioning/
COPY storage /app/storage/
COPY cards /app/cards/
COPY bot /app/bot/
COPY manifest /app/manifest/
RUN python -m compileall -q /app

FROM python:3.11-slim

ARG REVISION=""
LABEL org.opencontainers.image.title="Provisioning Bot" \
      org.opencontainers.image.description="Roll out Microsoft Teams devices from chat" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"

RUN python -m pip uninstall --yes --quiet --root-user-action=ignore setuptools wheel pip \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/venv /opt/venv/
COPY --from=build /app /app/

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    STORE_URL=tinydb:/data/store
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 3978
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ.get('PORT', '3978')}/healthz\", timeout=2)"]
CMD ["python", "app.py"]
