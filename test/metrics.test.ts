import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

const METRIC = /'(weir_[a-z_]+)'/g
/** Names of database roles start alike. */
const ROLE = /^weir_(?:control|dispatcher|ledger|watchdog|migrator|owner|definer)$/

function metricsOfSources(): string[] {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'libs', 'services'], {
    cwd: root,
  })
    .toString()
    .split('\n')
    .filter((file) => /\/src\/.*\.ts$/.test(file) && !file.endsWith('.test.ts'))
    .filter((file) => existsSync(join(root, file)))
  const names = files.flatMap((file) => [...read(file).matchAll(METRIC)].map(nameOf))
  return [...new Set(names.filter((name) => !ROLE.test(name)))]
}

const nameOf = (match: RegExpMatchArray) => match[1] as string

const documented = [
  ...read('docs/reference/metrics.md').matchAll(/^\| `(weir_\w+)` \| (\w+) \|/gm),
].map(([, name, type]) => ({ name: name as string, type: type as string }))

test('the reference of metrics lists every metric of the sources, and no other', () => {
  const names = documented.map(({ name }) => name)
  assert.deepEqual(names.toSorted(), metricsOfSources().toSorted())
})

test('what is lost of logs, traces and events raises an alert, whatever it is lost by, and no longer than that', () => {
  const { groups } = parse(read('deploy/observability/alerts.yml')) as {
    groups: { rules: { alert: string; expr: string; for?: string }[] }[]
  }
  const rules = groups.flatMap(({ rules }) => rules)
  const lost = rules.filter(({ expr }) => expr.includes('weir_telemetry_dropped_total'))
  assert.deepEqual(
    lost.map(({ alert, expr, for: wait }) => [alert, expr, wait]),
    [
      [
        'WeirTelemetryDropped',
        'sum by (service, signal, reason) (increase(weir_telemetry_dropped_total[45s])) > 0',
        undefined,
      ],
    ],
  )
})

test('rules and dashboard ask for metrics that exist, under the names that Prometheus has them', () => {
  const known = new Set(
    documented.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
  const files = ['alerts.yml', 'grafana/dashboards/weir.json']
  const asked = files.flatMap((file) =>
    [...read(`deploy/observability/${file}`).matchAll(/\bweir_\w+/g)].map(([name]) => name),
  )
  assert.ok(asked.length > 0)
  assert.deepEqual(
    asked.filter((name) => !known.has(name)),
    [],
  )
})
