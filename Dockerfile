FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

RUN useradd --create-home --uid 10001 bot && install -d -o bot -g bot /app /app/var
WORKDIR /app

# The slow layer first: it changes only with the pinned requirements.
COPY requirements.txt ./
RUN pip install --require-hashes --no-deps --only-binary :all: -r requirements.txt

COPY app.py ./
COPY provisioning ./provisioning
COPY storage ./storage
COPY cards ./cards
COPY bot ./bot
COPY manifest ./manifest

USER bot
VOLUME /app/var
EXPOSE 3978
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT', '3978')}/healthz\", timeout=2)"]
CMD ["python", "app.py"]
