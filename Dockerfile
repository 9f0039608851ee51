FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# The index of PyTorch's CPU builds; the usual ones bring 4 GB of CUDA libraries along. What comes
# from it is not in requirements.lock: give its hashes ("sha256:… sha256:…") to have them checked.
# An empty TORCH_INDEX takes the usual builds, with hashes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_HASHES=
# requirements-milvus.lock, too, for GALLERY_INDEX=milvus
ARG MORE=
COPY requirements*.txt requirements*.lock ./
RUN if [ -z "$TORCH_INDEX" ]; then exec pip install --require-hashes -r requirements.lock; fi; \
    for package in $(grep -E "^torch(vision)?==" requirements.txt); do \
        printf "%s" "$package"; printf " --hash=%s" $TORCH_HASHES; echo; \
    done | if [ -n "$TORCH_HASHES" ]; then cat; else sed "s/ .*//"; fi > /tmp/torch.txt; \
    pip install --no-deps --index-url "$TORCH_INDEX" -r /tmp/torch.txt && \
    pip install --no-deps --require-hashes -r requirements-cpu.lock
RUN if [ -n "$MORE" ]; then pip install --no-deps --require-hashes -r "$MORE"; fi

COPY . .

# Fetch and convert the networks now, so that a container needs no internet and starts at once.
# Without internet here, auto comes down to dlib.
ARG MODELS="dlib auto"
RUN for model in $MODELS; do \
        FACE_MODEL=$model DEVICE=cpu SQLITE_PATH=/tmp/build/$model.db python -c \
            "from app import create_app; create_app().extensions['service'].wait(60)" || exit; \
    done; \
    rm -r /tmp/build

# OpenShift runs containers as any user, but always in group 0. The root file system may be
# read-only: only data, and /tmp for what libraries put aside, are written.
RUN mkdir -p data && chgrp -R 0 data models/weights && chmod -R g=u data models/weights
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 1001:0

VOLUME ["/app/data"]
EXPOSE 5005
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", \"\").strip() or 5005}/healthz')"]
CMD ["python", "entry.py"]
