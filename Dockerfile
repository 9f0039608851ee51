FROM python:3.11-slim
# A mirror of PyPI; by default PyPI itself.
ARG PIP_INDEX_URL

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# The index of PyTorch's CPU wheels; the usual wheels bring 4 GB of CUDA libraries. The CPU wheels are
# not in requirements.lock: give their hashes ("sha256:… sha256:…") to have them checked.
# An empty TORCH_INDEX installs the usual wheels, with hashes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_HASHES=
# Set it to requirements-milvus.lock for GALLERY_INDEX=milvus.
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

# The weights that the image must contain, so that a container needs no internet. They are taken from
# models/weights of the build context if they are there.
ARG MODELS=vggface2
RUN flask --app entry models fetch $MODELS

# OpenShift runs containers as any user, but always in group 0. The root file system may be
# read-only: only data, and /tmp for temporary files of libraries, are written.
RUN mkdir -p data && chgrp 0 data && chmod g=u data
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1
# glibc returns freed blocks from 4 MB on, keeps 32 MB of smaller ones, and shares two arenas among
# all threads: a worker does not keep what large requests took.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=4194304 MALLOC_TRIM_THRESHOLD_=33554432
USER 1001:0

VOLUME ["/app/data"]
EXPOSE 5005
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", \"\").strip() or 5005}/healthz')"]
CMD ["python", "entry.py"]
