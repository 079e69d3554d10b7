# keras-focal in a container, for processors; for NVIDIA GPUs: --build-arg EXTRAS=gpu
FROM python:3.12-slim

ARG EXTRAS=export
WORKDIR /opt/keras-focal
COPY setup.cfg pyproject.toml MANIFEST.in README.md LICENSE ./
COPY keras_focal keras_focal
COPY yolo yolo
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[${EXTRAS}]" && rm -rf /opt/keras-focal

# Nothing runs as root; whatever user `docker run --user` names may write what is kept here.
RUN useradd --uid 1000 --create-home detector && install -d -m 1777 /cache
ENV KERAS_FOCAL_CACHE=/cache/weights KERAS_HOME=/cache/keras MPLCONFIGDIR=/cache/matplotlib
USER 1000
WORKDIR /data

ENTRYPOINT ["keras-focal"]
CMD ["--help"]
