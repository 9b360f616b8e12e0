#!/usr/bin/env node
// Plain JavaScript, so that a Node that cannot read TypeScript still gets as far as saying so.
import { enableCompileCache } from 'node:module'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 10)) {
  process.stderr.write(`weir: Node.js 24.10 or newer is needed; this is ${process.version}\n`)
  process.exitCode = 2
} else {
  enableCompileCache()
  await import('../src/main.ts')
}
