# syntax=docker/dockerfile:1

# One static binary on an image that has nothing else: no shell, no libc, no package manager; only
# certificates for HTTPS to Zep, /tmp, and a user who is not root.
#
#     docker build -t zep-mcp-server .
#     docker run -p 127.0.0.1:8081:8081 -v zep-mcp-server:/data -e MCP_AUTH_TOKEN -e ZEP_API_KEY zep-mcp-server
#
# The container listens beyond loopback, or nobody could reach it, and so it does not start without
# authentication: MCP_AUTH_TOKEN, MCP_AUTH_TOKENS_FILE or MCP_OAUTH_ISSUER. Without ZEP_API_KEY
# memories are kept in /data. For a host that starts the container and speaks over stdio:
# `docker run -i --rm … zep-mcp-server serve`.

FROM rust:1-alpine AS build
# ring and SQLite are compiled from C. All else is Rust: no OpenSSL, no cmake, no perl.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# Cargo wants what the manifest names to be there.
COPY benches ./benches
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin zep-mcp-server \
    && install -D target/release/zep-mcp-server /out/usr/local/bin/zep-mcp-server \
    && mkdir /data
COPY LICENSE /out/usr/share/doc/zep-mcp-server/LICENSE

FROM gcr.io/distroless/static-debian13:nonroot
LABEL org.opencontainers.image.title="zep-mcp-server" \
      org.opencontainers.image.description="MCP memory server on Zep Cloud or one SQLite file, in the place of mem0-mcp-server" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /data/ /data/
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /
ENV HOST=0.0.0.0 \
    PORT=8081 \
    ZEP_MCP_DATA_DIR=/data
VOLUME /data
EXPOSE 8081
# Whether it answers, over https where ZEP_MCP_TLS_CERT is set.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/zep-mcp-server", "health"]
ENTRYPOINT ["/usr/local/bin/zep-mcp-server"]
CMD ["serve", "--http"]
