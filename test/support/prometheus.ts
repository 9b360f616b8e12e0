import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { baseEnv } from '../../deploy/local/base-env.ts'
import { guardAgainstOwnDeath, type ParentGuard } from '../../deploy/local/parent-guard.ts'
import { findFreePort } from '../../deploy/local/ports.ts'
import { repositoryDir } from '../../deploy/local/repository.ts'
import { createSupervisor } from '../../deploy/local/supervisor.ts'

export const observabilityDir = join(repositoryDir, 'deploy', 'observability')

const STOP_GRACE_MS = 5_000
const ANSWER_MS = 10_000
/** More than any test file takes. */
const PAST = '1h'

/**
 * Why Prometheus or its tool cannot be run here; undefined where it can. With REQUIRE_PROMETHEUS=1 that
 * is a failure.
 */
export function findMissingPrometheus(program: 'prometheus' | 'promtool'): string | undefined {
  if (spawnSync(program, ['--version']).error === undefined) return undefined
  const missing = `${program} is not in PATH`
  if (process.env.REQUIRE_PROMETHEUS === '1')
    throw new Error(`REQUIRE_PROMETHEUS=1, but ${missing}`)
  return missing
}

export type Rule = {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
}

/** The rules as they are shipped. */
export function readRules(): Rule[] {
  const { groups } = parse(readFileSync(join(observabilityDir, 'alerts.yml'), 'utf8')) as {
    groups: { rules: Rule[] }[]
  }
  return groups.flatMap(({ rules }) => rules)
}

export type Series = {
  readonly labels: Readonly<Record<string, string>>
  /** Prometheus' own times, in seconds, and values. */
  readonly samples: readonly (readonly [at: number, value: number])[]
}

/** A Prometheus of a test file's own, which scrapes and evaluates as the shipped configuration says. */
export type TestPrometheus = {
  readonly intervalS: number
  /** Every sample of the series that a selector names. */
  series(selector: string): Promise<readonly Series[]>
  /** Names of all metrics that it has ever seen. */
  names(): Promise<ReadonlySet<string>>
  /** `up` or what is wrong with each target, by its address. */
  targets(): Promise<ReadonlyMap<string, string>>
  /** Names of the alerts that fire now. */
  firing(): Promise<readonly string[]>
  stop(): Promise<void>
}

/** Starts one with the shipped rules; of the shipped configuration only the targets are others. */
export async function startPrometheus(targets: readonly string[]): Promise<TestPrometheus> {
  const home = mkdtempSync(join(tmpdir(), 'weir-prometheus-'))
  const folder = join(home, 'prometheus')
  const config = join(folder, 'prometheus.yml')
  mkdirSync(folder)
  const shipped = parse(readFileSync(join(observabilityDir, 'prometheus.yml'), 'utf8'))
  const intervalS = Number.parseInt(shipped.global.evaluation_interval, 10)
  shipped.rule_files = shipped.rule_files.map((file: string) => join(observabilityDir, file))
  const [scrape] = shipped.scrape_configs
  delete scrape.dns_sd_configs
  scrape.static_configs = [{ targets }]
  writeFileSync(config, stringify(shipped))

  const address = `127.0.0.1:${await findFreePort()}`
  const supervisor = createSupervisor({ home })
  let guard: ParentGuard | undefined
  const stop = async () => {
    await supervisor.stopAll(STOP_GRACE_MS)
    guard?.release()
    rmSync(home, { recursive: true, force: true })
  }
  try {
    await supervisor.add({
      name: 'prometheus',
      argv: [
        'prometheus',
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
      ],
      env: baseEnv(),
      cwd: folder,
      readyUrl: `http://${address}/-/ready`,
      restart: false,
    })
    guard = guardAgainstOwnDeath(home, Object.values(supervisor.pids()))
  } catch (error) {
    await stop()
    throw error
  }

  const ask = async <Data>(path: string, query: Record<string, string> = {}): Promise<Data> => {
    const url = `http://${address}/api/v1/${path}?${new URLSearchParams(query)}`
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })
    const answer = (await response.json()) as { status: string; data: Data; error?: string }
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`)
    return answer.data
  }

  return {
    intervalS,
    async series(selector) {
      const { result } = await ask<{
        result: { metric: Record<string, string>; values: [number, string][] }[]
      }>('query', { query: `${selector}[${PAST}]` })
      return result.map(({ metric, values }) => ({
        labels: metric,
        samples: values.map(([at, value]) => [at, Number(value)] as const),
      }))
    },
    names: async () => new Set(await ask<string[]>('label/__name__/values')),
    async targets() {
      const { activeTargets } = await ask<{
        activeTargets: { health: string; lastError: string; labels: { instance: string } }[]
      }>('targets')
      return new Map(
        activeTargets.map(({ health, lastError, labels }) => [
          labels.instance,
          lastError === '' ? health : lastError,
        ]),
      )
    },
    async firing() {
      const { alerts } = await ask<{
        alerts: { state: string; labels: { alertname: string } }[]
      }>('alerts')
      return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)
    },
    stop,
  }
}
