# From source to image in one go: docker build -t discobot .
# Where artifacts/discobot is made already, images/build.sh is quicker.
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0
ARG BASE=debian:12-slim

FROM ${SDK} AS build
RUN apt-get update && apt-get install -y --no-install-recommends binutils clang cmake libssl-dev lld make zlib1g-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN build/binary.sh

FROM ${BASE}
ARG PACKAGES="ca-certificates curl docker.io git iproute2 iptables openssh-client procps python3"
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 --shell /bin/bash discobot

COPY --from=build /source/artifacts/discobot /opt/discobot/bin/discobot
RUN ln -s discobot /opt/discobot/bin/proxy && ln -s /opt/discobot/bin/discobot /usr/local/bin/discobot

WORKDIR /workspace
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["/opt/discobot/bin/discobot", "health"]
ENTRYPOINT ["/opt/discobot/bin/discobot", "init"]
