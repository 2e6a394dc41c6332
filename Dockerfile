# The images of all distributions. From source to image in one go: docker build -t discobot .
# images/build.sh names the distribution's base and packages. Where the context has discobot-linux-amd64 or -arm64, as that of images/build.sh and a
# release have, it is taken and nothing is compiled: docker buildx build --platform linux/amd64,linux/arm64 -f Dockerfile artifacts/dist
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0
ARG BASE=debian:12-slim

FROM ${SDK} AS executable
ARG TARGETARCH
WORKDIR /source
COPY . .
RUN if [ -e "discobot-linux-$TARGETARCH" ]; then mv "discobot-linux-$TARGETARCH" discobot; else build/binary.sh && mv artifacts/discobot discobot; fi

FROM ${BASE}
ARG INSTALL="apt-get update && apt-get install -y --no-install-recommends"
ARG PACKAGES="ca-certificates curl docker.io git iproute2 iptables openssh-client procps python3"
RUN [ -z "$PACKAGES" ] || { export DEBIAN_FRONTEND=noninteractive && eval "$INSTALL $PACKAGES" \
    && rm -rf /var/lib/apt/lists/* /var/cache/dnf /var/cache/libdnf5; }
RUN if command -v useradd; then useradd --create-home --uid 1000 --shell /bin/bash discobot; else adduser -D -u 1000 discobot; fi

COPY --from=executable /source/discobot /opt/discobot/bin/discobot
RUN ln -s discobot /opt/discobot/bin/proxy && ln -s /opt/discobot/bin/discobot /usr/local/bin/discobot

# Interactive sh, as `docker exec -it CONTAINER sh` starts it, reads this file when it is there; bash and zsh have files of their own.
ENV ENV=/etc/profile.d/discobot-proxy.sh
WORKDIR /workspace
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["/opt/discobot/bin/discobot", "health"]
ENTRYPOINT ["/opt/discobot/bin/discobot", "init"]
