import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024

export type Container = {
  readonly Id: string
  readonly Name: string
  readonly RestartCount: number
  readonly Config: {
    readonly User: string
    readonly Env: readonly string[]
    readonly Image: string
  }
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean
    readonly CapDrop: readonly string[] | null
    readonly SecurityOpt: readonly string[] | null
    readonly Memory: number
  }
  readonly State: {
    readonly Running: boolean
    readonly ExitCode: number
    readonly StartedAt: string
    readonly Health?: { readonly Status: string }
  }
}

export type ComposeOptions = {
  readonly project: string
  /** Read by the compose file. */
  readonly env: Readonly<Record<string, string>>
  /** Compose files beside docker-compose.yml, from the repository's root. */
  readonly files?: readonly string[]
}

export type Compose = ReturnType<typeof createCompose>

/** One compose project of the test's own; its names, ports, volumes and networks are only its own. */
export function createCompose({ project, env, files = [] }: ComposeOptions) {
  const run = async (
    args: readonly string[],
    timeoutMs = 120_000,
    more: Readonly<Record<string, string>> = {},
  ): Promise<string> => {
    const { stdout } = await promisify(execFile)('docker', args, {
      cwd: root,
      env: { ...process.env, ...env, ...more },
      timeout: timeoutMs,
      maxBuffer: OUTPUT_MAX_BYTES,
    })
    return stdout.trim()
  }
  const compose = (
    args: readonly string[],
    timeoutMs?: number,
    more?: Readonly<Record<string, string>>,
  ): Promise<string> =>
    run(
      [
        'compose',
        ...['--project-name', project, '--project-directory', root, '--profile', 'demo'],
        ...['docker-compose.yml', ...files].flatMap((file) => ['-f', file]),
        ...args,
      ],
      timeoutMs,
      more,
    )
  const idsOf = async (service: string): Promise<readonly string[]> =>
    lines(await compose(['ps', '--all', '--quiet', service]))

  return {
    project,
    run,
    compose,
    idsOf,
    async inspect(service: string): Promise<readonly Container[]> {
      const ids = await idsOf(service)
      return ids.length === 0 ? [] : JSON.parse(await run(['inspect', ...ids]))
    },
    /** The address of a published port on this machine. */
    async address(service: string, port: number): Promise<string> {
      return `http://${await compose(['port', service, String(port)])}`
    },
    /** Names of all that the engine still has of the project. */
    async leftovers(): Promise<readonly string[]> {
      const label = `label=com.docker.compose.project=${project}`
      const found = await Promise.all([
        run(['ps', '--all', '--quiet', '--filter', label]),
        run(['volume', 'ls', '--quiet', '--filter', label]),
        run(['network', 'ls', '--quiet', '--filter', label]),
      ])
      return found.flatMap(lines)
    },
  }
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}
