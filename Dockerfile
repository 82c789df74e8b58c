# snugd as an image of two stages: one compiles, the other has the server, snugctl and the libraries that they load, and is not root.
#
#     podman build -t snugd .                     docker build -t snugd .
#     podman run --rm -p 127.0.0.1:11211:11211 snugd -m 1024 -t 4
#
# What follows the image's name is snugd's options; they come after those of /etc/snugd.conf, which a mounted file may replace.
# docs/operations.md, "A container", says more. make check-image builds and runs it.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	gcc libc6-dev meson ninja-build pkg-config libxxhash-dev liburing-dev libmicrohttpd-dev libssl-dev
COPY . /source
WORKDIR /source
RUN meson setup -Dtests=disabled -Dhttp=enabled -Dtls=enabled --buildtype=release --prefix=/usr --sysconfdir=/etc build-image \
	&& ninja -C build-image snugd snugctl && strip build-image/snugd build-image/snugctl \
	&& sed 's/^listen = .*/listen = 0.0.0.0/' packaging/snugd.conf >build-image/snugd.conf

FROM ${BASE}
LABEL org.opencontainers.image.title="snugd" \
	org.opencontainers.image.description="A memcached-compatible cache whose memory stays packed" \
	org.opencontainers.image.licenses="MIT"
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libmicrohttpd12 libssl3 liburing2 \
	&& apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
	&& useradd --system --uid 11211 --user-group --no-create-home --home-dir /run/snugd --shell /usr/sbin/nologin snug \
	&& install -d -o snug -g snug -m 0755 /run/snugd
COPY --from=build /source/build-image/snugd /source/build-image/snugctl /usr/bin/
COPY --from=build /source/build-image/snugd.conf /etc/snugd.conf
USER 11211:11211
EXPOSE 11211
ENTRYPOINT ["/usr/bin/snugd", "--config", "/etc/snugd.conf"]
