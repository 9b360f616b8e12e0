import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { withClient } from './client.ts'
import { dumpSchema } from './dump-schema.ts'

// Writes migrations/schema.sql from the migrated database at WEIR_POSTGRES_URL.

const url = process.env.WEIR_POSTGRES_URL
if (!url) {
  console.error('set WEIR_POSTGRES_URL to a migrated database')
  process.exitCode = 1
} else {
  const path = fileURLToPath(new URL('../../../migrations/schema.sql', import.meta.url))
  await writeFile(path, await withClient(url, dumpSchema))
}
