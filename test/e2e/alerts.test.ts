import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { act } from '../support/act-step.ts'
import { startOtlpSink } from '../support/otlp-sink.ts'
import {
  findMissingPrometheus,
  observabilityDir,
  type Series,
  startPrometheus,
} from '../support/prometheus.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const ITEMS = 500
const JOBS_AT_ONCE = 10
/** What the rules promise of lost telemetry. */
const FIRES_WITHIN_S = 15
const CLEARS_WITHIN_S = 60
/** How long is waited for what Prometheus' own times are then held against. */
const PATIENCE_MS = 180_000
/** Beyond the time that a rule states: a scrape with its timeout, an evaluation, and the delays of a busy machine. */
const LATE_MAX_S = 30

/** Its series begin with the first refusal, which a healthy system does not have. */
const MAY_BE_ABSENT = ['weir_control_backpressure_total']

const missing = findMissingPrometheus('prometheus')
if (missing !== undefined) {
  process.stderr.write(`test: SKIPPED, no alert is seen in a real Prometheus: ${missing}\n`)
  test('alerts are seen in a real Prometheus', { skip: missing }, () => {})
} else await suite()

async function suite(): Promise<void> {
  const sink = await startOtlpSink()
  after(() => sink.close())
  const system = await startSystem({
    stages: [{ name: 'stalled' }],
    env: { WEIR_OTLP_URL: sink.url },
  })
  after(() => system.stop())
  const urls = Object.values(system.run.urls).map((url) => new URL(url).host)
  const prometheus = await startPrometheus(urls)
  after(() => prometheus.stop())
  const { client } = await system.tenant('alerts')
  const stage = 'stalled@1'
  await client.publish('loud', {
    steps: {
      split: act('range', { stage, config: { n: ITEMS } }),
      each: act('loud', { stage, after: [{ step: 'split', each: true }] }),
    },
  })

  const firingOf = (labels: string) => prometheus.series(`ALERTS{alertstate="firing",${labels}}`)
  /** What an alert of lost telemetry has fired for. */
  const lostOf = async ({ labels: { service, signal, reason } }: Series): Promise<Series> => {
    const of = `service="${service}",signal="${signal}",reason="${reason}"`
    const [lost] = await prometheus.series(`weir_telemetry_dropped_total{${of}}`)
    assert.ok(lost, of)
    return lost
  }
  const toFire = (alert: string) =>
    until(`${alert} to fire`, async () => (await prometheus.firing()).includes(alert), PATIENCE_MS)
  const toClear = () =>
    until('all alerts to clear', async () => (await prometheus.firing()).length === 0, PATIENCE_MS)

  test('every process is scraped, and has what rules and dashboard ask for', async () => {
    await client.run('loud', 0)
    await until('all targets to be up', async () => {
      const targets = await prometheus.targets()
      return urls.every((url) => targets.get(url) === 'up')
    })
    const texts = ['alerts.yml', 'grafana/dashboards/weir.json'].map((file) =>
      readFileSync(join(observabilityDir, file), 'utf8'),
    )
    const asked = new Set(texts.join('\n').match(/\b(?:weir|process|nodejs)_\w+/g))
    let absent: string[] = []
    const isThere = async () => {
      const names = await prometheus.names()
      absent = [...asked].filter((name) => !names.has(name) && !MAY_BE_ABSENT.includes(name))
      return absent.length === 0
    }
    await until('every metric', isThere, 60_000).catch(() => assert.deepEqual(absent, []))
    assert.deepEqual(await prometheus.firing(), [])
  })

  test('the loss of spans and lines raises its alert within 15 s', async () => {
    sink.answer('nothing')
    const haveAll = async () => {
      const alerts = await firingOf('alertname="WeirTelemetryDropped",service="stage-stalled"')
      return new Set(alerts.map(({ labels }) => labels.signal)).size === 2
    }
    let isOver = false
    const load = async () => {
      while (!isOver) {
        const ids = await client.submitBatch('loud', Array(JOBS_AT_ONCE).fill(0))
        await client.allEnded(ids, PATIENCE_MS)
      }
    }
    const loaded = load()
    try {
      await until('the losses of the stage to be told of', haveAll, PATIENCE_MS)
    } finally {
      // Work goes on while all takes again what it is given.
      sink.answer({ status: 200, afterMs: 0 })
      process.kill(system.pid('stalled') as number, 'SIGUSR2')
      isOver = true
      await loaded
    }
    for (const alert of await firingOf('alertname="WeirTelemetryDropped"')) {
      const lost = await lostOf(alert)
      const seen = lost.samples.find(([, value]) => value > 0)?.[0] ?? Number.NaN
      // A sample has the time at which its scrape began, and the loss began up to one interval before:
      // by how much a process that has no time to answer is late, no rule can know.
      const [scrape] = await prometheus.series(
        `scrape_duration_seconds{instance="${lost.labels.instance}"}`,
      )
      const tookS = scrape?.samples.find(([at]) => at === seen)?.[1] ?? Number.NaN
      const delayS = prometheus.intervalS + firstOf(alert) - (seen + tookS)
      assert.ok(delayS <= FIRES_WITHIN_S, `${alert.labels.signal}: fires after ${delayS} s`)
      assert.equal(alert.labels.severity, 'info')
      say(alert, `fires ${delayS.toFixed(1)} s after the loss may have begun`)
    }
  })

  test('a dispatcher that hangs is told of, as itself and as what is missing', async () => {
    const pid = system.pid('dispatcher') as number
    process.kill(pid, 'SIGSTOP')
    try {
      await toFire('WeirNothingDispatches')
      await toFire('WeirProcessDown')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    const instance = new URL(system.run.urls.dispatcher as string).host
    const [led] = await prometheus.series(`weir_dispatch_leading{instance="${instance}"}`)
    const [nothing] = await firingOf('alertname="WeirNothingDispatches"')
    const [up] = await prometheus.series(`up{instance="${instance}"}`)
    const [down] = await firingOf('alertname="WeirProcessDown"')
    assert.ok(led && nothing && up && down)
    assert.equal(down.labels.instance, instance)
    const isDue = (delayS: number, statedS: number, what: string) => {
      assert.ok(delayS >= statedS && delayS <= statedS + LATE_MAX_S, `${what} after ${delayS} s`)
      console.log(`# ${what}: fires ${delayS.toFixed(1)} s after the last good scrape`)
    }
    isDue(firstOf(nothing) - lastBefore(led, firstOf(nothing)), 30, 'WeirNothingDispatches')
    isDue(firstOf(down) - lastBefore(up, firstOf(down)), 60, 'WeirProcessDown')
    await toClear()
  })

  test('the alert of lost telemetry clears within 60 s of the last loss', async () => {
    await toClear()
    const alerts = await firingOf('alertname="WeirTelemetryDropped"')
    assert.ok(alerts.length >= 2)
    for (const alert of alerts) {
      const lost = await lostOf(alert)
      const total = lost.samples.at(-1)?.[1]
      // It ended after the last scrape that has seen less.
      const ended = lost.samples.findLast(([, value]) => value !== total)?.[0] ?? Number.NaN
      const cleared = (alert.samples.at(-1)?.[0] ?? Number.NaN) + prometheus.intervalS
      const delayS = cleared - ended
      assert.ok(delayS <= CLEARS_WITHIN_S, `${alert.labels.signal}: clears after ${delayS} s`)
      say(alert, `clears ${delayS.toFixed(1)} s after the loss may have ended`)
    }
  })
}

const say = ({ labels }: Series, what: string): void =>
  console.log(`# ${labels.service} ${labels.signal} ${labels.reason}: ${what}`)

const firstOf = ({ samples }: Series): number => samples[0]?.[0] ?? Number.NaN

/** When a series that is 1 while all is well was so for the last time before the given one. */
const lastBefore = ({ samples }: Series, before: number): number =>
  samples.findLast(([at, value]) => at < before && value === 1)?.[0] ?? Number.NaN
