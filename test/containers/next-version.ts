import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Compose } from './compose.ts'

const root = join(import.meta.dirname, '../..')
/** What .dockerignore lets through: with a folder less, no layer of the first build would be found. */
const CONTEXT = [
  'package.json',
  'package-lock.json',
  '.npmrc',
  '.dockerignore',
  'libs',
  'services',
  'migrations',
]
const BUILD_MS = 900_000

/** Builds a stage's image from sources that differ from the repository's in the stage's version only. */
export async function buildNextVersion(
  compose: Compose,
  { stage, version, tag }: { stage: string; version: string; tag: string },
): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'weir-next-'))
  try {
    for (const path of [...CONTEXT, 'deploy/docker', 'deploy/local'])
      cpSync(join(root, path), join(context, path), {
        recursive: true,
        filter: (source) => !source.includes('node_modules'),
      })
    const file = join(context, `services/stages/${stage}/src/stage.ts`)
    const source = readFileSync(file, 'utf8')
    const changed = source.replace(/\bversion: '[^']+'/, `version: '${version}'`)
    if (changed === source) throw new Error(`${stage} names no other version`)
    writeFileSync(file, changed)
    await compose.run(
      [
        ...['build', '--file', join(context, 'deploy/docker/stage.Dockerfile')],
        ...['--build-arg', `STAGE=${stage}`, '--build-arg', `VERSION=${tag}`],
        ...['--tag', `weir-stage-${stage}:${tag}`, context],
      ],
      BUILD_MS,
    )
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}
