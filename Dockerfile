# The images of DMQ Metadata: one static program each on an empty root, run by a user without rights.
#
#   docker build --target dmq-metadata --tag ghcr.io/dmq-io/dmq-metadata:0.1.0 .
#   docker build --target dmq-operator --tag ghcr.io/dmq-io/dmq-operator:0.1.0 .
#
# With programs that are built already (static, in one folder, named as below) no compiler image is pulled:
#
#   docker build --file Dockerfile --build-arg BINARIES=local --target dmq-metadata path/to/folder
ARG BINARIES=build
ARG RUST=1.95.0

FROM rust:${RUST}-slim-bookworm AS build
WORKDIR /source
COPY . .
# The toolchain of the image is the one that rust-toolchain.toml asks for; naming it keeps rustup from fetching another.
ARG RUST
ENV RUSTUP_TOOLCHAIN=${RUST}
# A target that is named keeps the flags from build scripts and macros, which cannot be static.
RUN set -eu; \
    target="$(rustc -vV | sed -n 's/^host: //p')"; \
    RUSTFLAGS='-C target-feature=+crt-static -C strip=debuginfo' \
        cargo build --locked --release --target "$target" \
        --package dmq-node --bin dmq-metadata \
        --package dmq-operator --bin dmq-operator; \
    mkdir /programs; \
    mv "target/$target/release/dmq-metadata" "target/$target/release/dmq-operator" /programs/; \
    rm -rf target

FROM scratch AS local
COPY dmq-* /programs/

FROM ${BINARIES} AS programs

FROM scratch AS dmq-metadata
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="A node of the DMQ metadata quorum" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=programs /programs/dmq-metadata /dmq-metadata
USER 65532:65532
ENTRYPOINT ["/dmq-metadata"]

FROM scratch AS dmq-operator
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="The Kubernetes operator of DMQ Metadata" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=programs /programs/dmq-operator /dmq-operator
USER 65532:65532
ENTRYPOINT ["/dmq-operator"]
