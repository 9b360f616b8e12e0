# One stage in one image: `docker build -f deploy/docker/stage.Dockerfile --build-arg STAGE=locate .`
# makes the stage of services/stages/locate. Built from the repository's root.

FROM node:24-bookworm-slim AS manifests
WORKDIR /app
COPY . .
# Only these decide which packages are installed: a change of a source leaves the next stage cached.
RUN find . -type f ! -name package.json ! -name package-lock.json ! -name .npmrc -delete

# What all stages need, in layers that they share.
FROM node:24-bookworm-slim AS engine
WORKDIR /app
COPY --from=manifests /app ./
# Our own packages become links, and so remain sources: Node strips no types below node_modules.
RUN --mount=type=cache,target=/root/.npm \
    npm ci --ignore-scripts --omit=dev --omit=optional --no-progress -w libs/engine -w libs/sdk

FROM engine
ARG STAGE
# Adds what this stage needs beyond that, in the versions of the lock file: often nothing.
RUN --mount=type=cache,target=/root/.npm \
    npm install --no-save --ignore-scripts --omit=dev --omit=optional --no-progress \
      -w libs/engine -w libs/sdk -w "services/stages/$STAGE"
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weir-stage-$STAGE" \
      org.opencontainers.image.description="Weir: the stage $STAGE" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENV NODE_ENV=production WEIR_HTTP_HOST=0.0.0.0 WEIR_HTTP_PORT=8080
COPY deploy/docker/probe.js deploy/docker/
# No database client among them: a stage needs Kafka only.
COPY libs/contracts libs/contracts
COPY libs/core libs/core
COPY libs/kafka libs/kafka
COPY libs/runtime libs/runtime
COPY libs/sdk libs/sdk
COPY libs/engine libs/engine
COPY services/stages/$STAGE services/stages/$STAGE
WORKDIR /app/services/stages/$STAGE
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s \
  CMD ["node", "/app/deploy/docker/probe.js", "/healthz"]
# No shell between: SIGTERM reaches Node.
ENTRYPOINT ["node", "--import", "@weir/runtime/telemetry", "src/main.ts"]
