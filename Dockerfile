FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# The index of PyTorch's CPU builds; the usual ones bring 4 GB of CUDA libraries along.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# requirements-milvus.txt, too, for GALLERY_INDEX=milvus
ARG REQUIREMENTS=requirements.txt
COPY requirements*.txt requirements.lock ./
RUN for file in $REQUIREMENTS; do \
        pip install --extra-index-url "$TORCH_INDEX" -r $file -c requirements.lock || exit; \
    done

COPY . .

# Fetch and convert the networks now, so that a container needs no internet and starts at once.
# Without internet here, auto comes down to dlib.
ARG MODELS="dlib auto"
RUN for model in $MODELS; do \
        FACE_MODEL=$model DEVICE=cpu SQLITE_PATH=/tmp/build/$model.db python -c \
            "from entry import create_app; create_app().extensions['service'].wait(60)" || exit; \
    done; \
    rm -r /tmp/build

# OpenShift runs containers as any user, but always in group 0.
RUN mkdir -p data models/weights && chgrp -R 0 data models/weights && chmod -R g=u data models/weights
ENV HOME=/tmp
USER 1001:0

VOLUME ["/app/data"]
EXPOSE 5005
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 5005}/healthz')"]
CMD ["python", "entry.py"]
