#!/bin/sh
# Fails, saying what to do, unless `node` is new enough to run TypeScript as it stands.
version=$(node --version 2>/dev/null) || version=none
major=$(echo "${version#v}" | cut -d. -f1)
minor=$(echo "${version#v}" | cut -d. -f2)
if [ "$major" = none ] || [ "$major" -lt 24 ] || { [ "$major" -eq 24 ] && [ "$minor" -lt 10 ]; }; then
  echo "weir: Node.js 24.10 or newer is needed; found: $version." >&2
  echo "weir: on Linux (x64, arm64) 'npm ci' brings it as an optional package, unless optional" >&2
  echo "weir: packages are switched off; on other systems install Node.js 24 and put it in PATH." >&2
  exit 1
fi
