import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { until } from '../support/until.ts'
import { type Installation, skip, startInstallation } from './installation.ts'
import { createLoads, LOAD_SERVICES, type Loads } from './load.ts'
import { buildNextVersion } from './next-version.ts'
import { createSharing, type Sharing } from './sharing.ts'

const JOBS = 8
const START_MS = 300_000
const STAGE = 'locate'
const NEXT = `next-${process.pid}`

let installation: Installation
let sharing: Sharing
let loads: Loads

before(async () => {
  if (skip) return
  installation = await startInstallation({
    services: LOAD_SERVICES,
    env: { WEIR_OTLP_URL: '' },
  })
  sharing = createSharing(installation.operator, `${STAGE}@1`)
  loads = await createLoads(installation)
  await buildNextVersion(installation.compose, { stage: STAGE, version: '1.0.1', tag: NEXT })
  const { run } = installation.compose
  // The platform's next version is the same one under another name: each container is replaced.
  await run(['tag', 'weir-platform:0.1.0', `weir-platform:${NEXT}`])
})

after(async () => {
  loads?.stop()
  await installation?.stop()
  const images = [`weir-stage-${STAGE}:${NEXT}`, `weir-platform:${NEXT}`]
  await installation?.compose.run(['image', 'rm', ...images])
})

test('a stage is rolled to its next version under load: both work side by side, nothing fails', {
  skip,
}, async () => {
  const { compose, exits } = installation
  const [old = ''] = await compose.idsOf(STAGE)
  const load = loads.start('rolled')
  await load.progress(JOBS)
  assert.deepEqual(await sharing.versions(), ['1.0.0'])

  const up = ['up', '--detach', '--wait', '--no-build', '--no-deps', '--no-recreate']
  await compose.compose([...up, '--scale', `${STAGE}=2`, STAGE], START_MS, { WEIR_VERSION: NEXT })
  await sharing.between(2)
  assert.deepEqual(await sharing.versions(), ['1.0.0', '1.0.1'])
  await load.progress(JOBS)

  await compose.run(['stop', '--time', '20', old])
  await compose.run(['rm', old])
  await sharing.between(1)
  assert.deepEqual(await sharing.versions(), ['1.0.1'])
  await load.progress(JOBS)
  await load.finish()
  await until('the old one to have ended', () => exits.of(STAGE).length > 0)
  assert.deepEqual(exits.of(STAGE), [0])
})

test('the platform is rolled under load: what was accepted ends, and each process has drained', {
  skip,
}, async () => {
  const { compose, exits } = installation
  const platform = ['control', 'dispatcher', 'ledger', 'watchdog']
  const load = loads.start('platform')
  await load.progress(JOBS)
  const up = ['up', '--detach', '--wait', '--no-build', '--no-deps']
  await compose.compose([...up, ...platform], START_MS, { WEIR_VERSION: NEXT })
  for (const service of platform) {
    const [container] = await compose.inspect(service)
    assert.equal(container?.Config.Image, `weir-platform:${NEXT}`)
    await until(`the old ${service} to have ended`, () => exits.of(service).length > 0)
    assert.deepEqual(exits.of(service), [0], service)
  }
  await load.progress(JOBS)
  await load.finish()
})
