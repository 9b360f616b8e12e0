import { readFileSync } from 'node:fs'

// The migrations read plain variables; here their values come from files, as everywhere else.
const suffix = '_FILE'
for (const [name, path] of Object.entries(process.env)) {
  if (!/^WEIR_\w+_FILE$/.test(name) || !path) continue
  process.env[name.slice(0, -suffix.length)] = readFileSync(path, 'utf8').trim()
}
await import('../../libs/postgres/src/migrate-main.ts')
