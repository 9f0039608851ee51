# Both stages take the same Python. Debian's slim image has no compiler, and none is needed: every
# package is a wheel.
ARG BASE_IMAGE=python:3.11-slim

FROM $BASE_IMAGE AS build
# A mirror of PyPI; by default PyPI itself.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/venv/bin:$PATH
WORKDIR /app

# Set it to requirements-milvus.lock for GALLERY_INDEX=milvus, to requirements-cuda.lock for
# DEVICE=cuda. Files that are never read are deleted: three models of face_recognition_models, and
# OpenVINO's parts for GPUs and for other formats of networks. They take 180 MB.
ARG MORE=
COPY requirements*.lock ./
RUN python -m venv --without-pip /venv && \
    pip --python /venv/bin/python install --only-binary :all: --no-deps --require-hashes \
        -r requirements.lock ${MORE:+-r "$MORE"} && \
    find /venv/lib \( -path "*/face_recognition_models/models/*" \
            ! -name dlib_face_recognition_resnet_model_v1.dat -o \
        -path "*/openvino/libs/*" \( -name "*_intel_[gn]pu_plugin*" -o -name cache.json -o \
            -regex ".*_\(tensorflow\(_lite\)?\|pytorch\|paddle\|gguf\|jax\)_frontend.*" \) \) -delete

COPY . .

# The weights that the image must contain, so that a container needs no internet. They are taken from
# models/weights of the build context if they are there.
ARG MODELS=vggface2
RUN flask --app entry models fetch $MODELS && python -m compileall -q app models entry.py

# What the image holds, and under which licences: sbom.cdx.json and docs/licences.md. The licences
# themselves are beside the packages, in /venv/lib/python3.11/site-packages/*.dist-info.
RUN python -m tools.sbom >sbom.cdx.json && rm -r tools

# OpenShift runs containers as any user, but always in group 0. The root file system may be
# read-only: only data, and /tmp for temporary files of libraries, are written.
RUN install -d -m 775 data

FROM $BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="image registration service" \
      org.opencontainers.image.description="Enrols faces and logs people in by face" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
# glibc returns freed blocks from 4 MB on, keeps 32 MB of smaller ones, and shares two arenas among
# all threads: a worker does not keep what large requests took.
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=4194304 MALLOC_TRIM_THRESHOLD_=33554432
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER 1001:0

VOLUME ["/app/data"]
EXPOSE 5005
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", \"\").strip() or 5005}/healthz')"]
CMD ["python", "entry.py"]
