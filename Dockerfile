# SPDX-License-Identifier: GPL-2.0-or-later
#
# docker build -t transfer-gateway .                        or: podman build --format docker -t transfer-gateway .
# docker run --network host --read-only --cap-drop ALL --ulimit nofile=65536 --stop-timeout 45 \
#     -v /etc/transfer-gateway:/etc/transfer-gateway:ro -v transfer-gateway:/var/lib/transfer-gateway transfer-gateway
#
# Host networking, because every call has RTP ports of its own. docs/operations.md has the rest; deploy/compose.yaml runs
# it beside a broker, Prometheus and Grafana. Built, run and called by tests/deploy/container.

# Another Debian with apt in it, as --build-arg BASE=debian:trixie-slim.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    ca-certificates debian-archive-keyring g++ gcc make patch pkg-config python3-dev python3-venv swig xz-utils \
    libopus-dev libspeex-dev libspeexdsp-dev libsrtp2-dev libssl-dev uuid-dev
WORKDIR /src
# Where whoever lends the build what was compiled before has put that; not needed otherwise.
ARG TRANSFER_GATEWAY_CACHE
# First what changes seldom, so that an edit in the gateway compiles PJSIP no second time.
COPY scripts/__init__.py scripts/debian_mirror.py scripts/
COPY scripts/binding scripts/binding
COPY gateway/sip/binding gateway/sip/binding
RUN python3 -m scripts.binding >wheel && mkdir /wheels && cp "$(cat wheel)" /wheels/
COPY requirements.txt requirements-watch.txt requirements-dev.txt ./
# pip is in a tree of its own, which stays behind.
RUN python3 -m venv /tools \
    && sed -n '/^setuptools==/,/[^\\]$/p' requirements-dev.txt >setuptools.txt \
    && /tools/bin/pip install -q --no-cache-dir --require-hashes -r setuptools.txt \
    && python3 -m venv --without-pip /opt/transfer-gateway/venv \
    && /tools/bin/pip --python /opt/transfer-gateway/venv/bin/python install -q --no-cache-dir --no-compile \
        --require-hashes -r requirements.txt -r requirements-watch.txt
COPY pyproject.toml requirements.in requirements-built.in requirements-watch.in requirements-traces.in LICENSE ./
COPY gateway gateway
# Compiled here, and told by no time of the source: the container's own files can't be written to.
RUN /tools/bin/pip wheel -q --no-deps --no-build-isolation -w /wheels . \
    && /tools/bin/pip --python /opt/transfer-gateway/venv/bin/python install -q --no-compile --no-index --no-deps /wheels/*.whl \
    && find /opt/transfer-gateway/venv -name '*.so' -exec strip --strip-unneeded {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/transfer-gateway/venv/lib
COPY LICENSE CHANGELOG.md /opt/transfer-gateway/share/
COPY sip_profiles /opt/transfer-gateway/share/sip_profiles
COPY deploy/asterisk /opt/transfer-gateway/share/deploy/asterisk
COPY deploy/config /opt/transfer-gateway/share/deploy/config
COPY deploy/freepbx /opt/transfer-gateway/share/deploy/freepbx
COPY deploy/container/ready /opt/transfer-gateway/bin/ready

FROM ${BASE}
LABEL org.opencontainers.image.title="transfer-gateway" \
    org.opencontainers.image.description="SIP gateway that transfers callers between voice assistants and a company's PBX" \
    org.opencontainers.image.licenses="GPL-3.0-or-later"
# What the binding is linked with. The name of OpenSSL's package ends in t64 from trixie on.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 libopus0 libsrtp2-1 libspeexdsp1 libstdc++6 libuuid1 \
    && (apt-get install -y --no-install-recommends libssl3t64 || apt-get install -y --no-install-recommends libssl3) \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
    && useradd --system --uid 947 --user-group --no-create-home --home-dir /var/lib/transfer-gateway transfer-gateway \
    && install -d -m 700 -o transfer-gateway -g transfer-gateway /var/lib/transfer-gateway
COPY --from=build /opt/transfer-gateway /opt/transfer-gateway
# The same files and libraries that will serve, as the user that they will serve as.
RUN --mount=type=bind,source=scripts/works.sh,target=/tmp/works.sh \
    setpriv --reuid 947 --regid 947 --clear-groups env HOME=/ PYTHONDONTWRITEBYTECODE=1 sh /tmp/works.sh \
    /opt/transfer-gateway/venv/bin/python /opt/transfer-gateway/share /opt/transfer-gateway/venv/bin/transfer-gateway
# By its number, which an orchestrator can see not to be root's.
USER 947:947
# What does not fit into memory (a large page of the history) goes where the state is: all else is read only.
ENV PATH=/opt/transfer-gateway/venv/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/var/lib/transfer-gateway HEALTH_URL=http://127.0.0.1:9470/readyz
VOLUME /var/lib/transfer-gateway
# Running calls get drain_timeout_s.
STOPSIGNAL SIGTERM
# HEALTH_URL has the address and port of [http] in gateway.toml.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/opt/transfer-gateway/bin/ready"]
ENTRYPOINT ["transfer-gateway"]
CMD ["run", "--config", "/etc/transfer-gateway"]
