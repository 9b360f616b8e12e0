import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export type Exits = {
  /** Exit codes of a service's containers that have ended so far, in their order, removed ones too. */
  of(service: string): readonly number[]
  stop(): void
}

/**
 * Listens to the engine from now on. Asked afterwards it knows its latest 256 events only, and health
 * checks make as many within a minute.
 */
export function followExits(project: string): Exits {
  const codes = new Map<string, number[]>()
  const child = spawn(
    'docker',
    [
      ...['events', '--filter', 'event=die'],
      ...['--filter', `label=com.docker.compose.project=${project}`],
      '--format',
      '{{index .Actor.Attributes "com.docker.compose.service"}} {{.Actor.Attributes.exitCode}}',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [service = '', code] = line.split(' ')
    codes.set(service, [...(codes.get(service) ?? []), Number(code)])
  })
  return {
    of: (service) => codes.get(service) ?? [],
    stop: () => void child.kill(),
  }
}
