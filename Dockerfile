# souk as a container: no shell, no libraries, its own user. The image runs
# souk with whatever it is told, and keeps all it knows in /var/lib/souk.
#
#   docker build -t souk .                             built from source in a golang image
#   scripts/image                                      from programs built outside, without any registry
#
# The first target only copies programs that are there already, so it needs
# nothing from a registry. Continuous integration, which reaches none, builds
# that one alone. It stands first because Docker's old builder makes every
# target above the one that is asked for.

# scripts/image makes the folder that this is built from.
FROM scratch AS prebuilt
COPY souk souk-sandbox souk-init souk-egress /usr/local/bin/
COPY etc /etc
COPY --chown=65532:65532 lib /var/lib
ENV PATH=/usr/local/bin SOUK_DATA_DIR=/var/lib/souk
USER 65532:65532
WORKDIR /var/lib/souk
VOLUME /var/lib/souk
ENTRYPOINT ["/usr/local/bin/souk"]
CMD ["help"]

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -tags nodrivers -trimpath -ldflags='-s -w' -o /image/usr/local/bin/ ./cmd/souk ./cmd/souk-sandbox ./cmd/souk-init ./cmd/souk-egress \
	&& mkdir -p /image/etc/ssl/certs && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
	&& mkdir -p -m 0700 /image/var/lib/souk && chown 65532:65532 /image/var/lib/souk

FROM scratch AS souk
COPY --from=build /image /
ENV PATH=/usr/local/bin SOUK_DATA_DIR=/var/lib/souk
USER 65532:65532
WORKDIR /var/lib/souk
VOLUME /var/lib/souk
ENTRYPOINT ["/usr/local/bin/souk"]
CMD ["help"]
