# Node.js, Java, Python's requests and pip, wget and zsh by the distribution's own package manager. Where none answers, the image stays as it is.
set -e
if command -v dnf; then
    dnf install -y --setopt=install_weak_deps=False java-21-openjdk-devel nodejs python3-pip python3-requests wget zsh && dnf clean all
elif command -v apt-get; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs openjdk-17-jdk-headless python3-pip python3-requests wget zsh
    rm -rf /var/lib/apt/lists/*
elif timeout 20 apk update; then
    apk add --no-cache bash nodejs openjdk17-jdk py3-pip py3-requests wget zsh
fi
