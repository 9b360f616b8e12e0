import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { findMissingPrometheus, observabilityDir, readRules } from './support/prometheus.ts'

/** To the next evaluation, and one more where a window ends. */
const SLACK_S = 10
const TOOL_MS = 300_000
const run = promisify(execFile)

type Case = {
  readonly alertname: string
  readonly eval_time: string
  readonly exp_alerts: readonly object[]
}

const seconds = (text: string): number => {
  const [, count, unit] = /^(\d+)([sm])$/.exec(text) ?? []
  return Number(count) * (unit === 'm' ? 60 : 1)
}

/** Each group of cases starts a time of its own. */
const groups = (
  parse(readFileSync(join(observabilityDir, 'alerts.test.yml'), 'utf8')) as {
    tests: { alert_rule_test: Case[] }[]
  }
).tests.map(({ alert_rule_test: cases }) =>
  cases.map(({ alertname, eval_time: at, exp_alerts: alerts }) => ({
    alert: alertname,
    atS: seconds(at),
    isFiring: alerts.length > 0,
  })),
)

test('every rule has a unit test that sees it silent and, when its time has come, firing', () => {
  const rules = readRules()
  const isTimed = ({ alert, for: wait = '0s' }: (typeof rules)[number]) =>
    groups.some((cases) => {
      const own = cases.filter((one) => one.alert === alert)
      const first = own.findIndex(({ isFiring }) => isFiring)
      const [before, at] = [own[first - 1], own[first]]
      if (before === undefined || at === undefined) return false
      return at.atS >= seconds(wait) && at.atS - before.atS <= SLACK_S
    })
  assert.deepEqual(
    rules.filter((rule) => !isTimed(rule)).map(({ alert }) => alert),
    [],
  )
  const known = new Set(rules.map(({ alert }) => alert))
  const unknown = groups.flat().filter(({ alert }) => !known.has(alert))
  assert.deepEqual(unknown, [])
})

test('the rules hold what their unit tests say, by the tool of Prometheus', async (t) => {
  const missing = findMissingPrometheus('promtool')
  if (missing !== undefined) {
    process.stderr.write(`test: SKIPPED, no unit test of the alert rules is run: ${missing}\n`)
    return t.skip(missing)
  }
  const options = { cwd: observabilityDir, timeout: TOOL_MS }
  await run('promtool', ['check', 'rules', 'alerts.yml'], options)
  await run('promtool', ['test', 'rules', 'alerts.test.yml'], options)
})
