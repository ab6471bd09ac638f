# One static binary on an image without a shell, libc or package manager: it has only certificates
# for HTTPS to Zep, /tmp and a user other than root.
#
#     docker build -t zep-mcp-server .
#     docker run -p 127.0.0.1:8081:8081 -v zep-mcp-server:/data -e MCP_AUTH_TOKEN -e ZEP_API_KEY zep-mcp-server
#
# The server listens on all interfaces of the container and therefore requires authentication:
# MCP_AUTH_TOKEN, MCP_AUTH_TOKENS_FILE or MCP_OAUTH_ISSUER. Without ZEP_API_KEY, memories are kept in
# /data. For a host that starts the container and uses stdio: `docker run -i --rm … zep-mcp-server serve`.

# By digest: what is built tomorrow is built from the same base. Dependabot proposes newer ones.
FROM rust:1-alpine@sha256:a10e64dd139b7387337c7fbe8aca31b959b57b2fd4c8ae20a02cf1d6ea424dce AS build
# A C compiler for ring and SQLite; everything else is Rust.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# Cargo requires the targets that the manifest names.
COPY benches ./benches
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin zep-mcp-server \
    && install -D target/dist/zep-mcp-server /out/usr/local/bin/zep-mcp-server \
    && mkdir /data
COPY LICENSE /out/usr/share/doc/zep-mcp-server/LICENSE

FROM gcr.io/distroless/static-debian13:nonroot@sha256:e2e927ec666bae08560abb3c55d0659eceabb657f56b6782ab500a9fc7f555e3
LABEL org.opencontainers.image.title="zep-mcp-server" \
      org.opencontainers.image.description="MCP memory server on Zep Cloud or one SQLite file, in the place of mem0-mcp-server" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /data/ /data/
# Numeric, so that Kubernetes can verify `runAsNonRoot`.
USER 65532:65532
WORKDIR /
ENV HOST=0.0.0.0 \
    PORT=8081 \
    ZEP_MCP_DATA_DIR=/data
VOLUME /data
EXPOSE 8081
# Uses HTTPS if ZEP_MCP_TLS_CERT is set.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/zep-mcp-server", "health"]
ENTRYPOINT ["/usr/local/bin/zep-mcp-server"]
CMD ["serve", "--http"]
