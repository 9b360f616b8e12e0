# The platform in one image; the command says which part of it a container is:
# control, dispatcher, ledger, watchdog, migrate, or one of the two that prepare an installation of its own
# (secrets, register). Built from the repository's root.

FROM node:24-bookworm-slim AS manifests
WORKDIR /app
COPY . .
# Only these decide which packages are installed: a change of a source leaves the next stage cached.
RUN find . -type f ! -name package.json ! -name package-lock.json ! -name .npmrc -delete

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY --from=manifests /app ./
# Our own packages become links, and so remain sources: Node strips no types below node_modules.
RUN --mount=type=cache,target=/root/.npm \
    npm ci --ignore-scripts --omit=dev --omit=optional --no-progress \
      -w services/control -w services/dispatcher -w services/ledger -w services/watchdog

FROM node:24-bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weir-platform" \
      org.opencontainers.image.description="Weir: control, dispatcher, ledger, watchdog and migrations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENV NODE_ENV=production WEIR_HTTP_HOST=0.0.0.0 WEIR_HTTP_PORT=8080
WORKDIR /app
COPY --from=packages /app ./
COPY migrations migrations
COPY deploy/local/errors.ts deploy/local/installation-secrets.ts deploy/local/register-stage.ts \
     deploy/local/secrets.ts deploy/local/
COPY deploy/migrate.ts deploy/
COPY deploy/docker deploy/docker
COPY libs libs
COPY services/control services/control
COPY services/dispatcher services/dispatcher
COPY services/ledger services/ledger
COPY services/watchdog services/watchdog
# A new volume takes owner and mode of the folder that it is mounted on.
RUN install -d -o 1000 -g 1000 -m 0750 /secrets /secrets/vault /secrets/postgres \
      /secrets/migrate /secrets/control /secrets/dispatcher /secrets/ledger /secrets/stages
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s \
  CMD ["node", "/app/deploy/docker/probe.js", "/healthz"]
# No shell between: SIGTERM reaches Node.
ENTRYPOINT ["node", "--import", "@weir/runtime/telemetry", "/app/deploy/docker/platform.ts"]
CMD ["control"]
