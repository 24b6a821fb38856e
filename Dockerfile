# SPDX-License-Identifier: GPL-2.0-or-later
#
# docker build -t transfer-gateway .
# docker run --network host --ulimit nofile=65536 --stop-timeout 45 \
#     -v /etc/transfer-gateway:/etc/transfer-gateway:ro -v transfer-gateway:/var/lib/transfer-gateway transfer-gateway
#
# Host networking, because every call has RTP ports of its own.
# A first form: it was written along `make install`, which is tested, but was itself never built, for want of an engine.

ARG DEBIAN=bookworm

FROM debian:${DEBIAN}-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git make python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# First what changes seldom, so that an edit in the gateway does not compile PJSIP anew.
COPY Makefile pyproject.toml requirements*.in requirements*.txt ./
COPY scripts scripts
COPY gateway/__init__.py gateway/__init__.py
COPY gateway/sip/binding gateway/sip/binding
RUN make setup
COPY . .
RUN make install PREFIX=/opt/transfer-gateway

FROM debian:${DEBIAN}-slim
# What the binding is linked with. The name of OpenSSL's package ends in t64 from trixie on.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 libopus0 libsrtp2-1 libspeexdsp1 libstdc++6 libuuid1 \
    && (apt-get install -y --no-install-recommends libssl3t64 || apt-get install -y --no-install-recommends libssl3) \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --home-dir /var/lib/transfer-gateway --create-home transfer-gateway
COPY --from=build /opt/transfer-gateway /opt/transfer-gateway
USER transfer-gateway
ENV PATH=/opt/transfer-gateway/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
VOLUME /var/lib/transfer-gateway
STOPSIGNAL SIGTERM
# The port is [http] port of gateway.toml.
ENV HEALTH_URL=http://127.0.0.1:9470/healthz
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["/opt/transfer-gateway/venv/bin/python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=2)"]
ENTRYPOINT ["transfer-gateway"]
CMD ["run", "--config", "/etc/transfer-gateway"]
