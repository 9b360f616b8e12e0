import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { until } from '../support/until.ts'
import type { Container } from './compose.ts'
import { type Installation, skip, startInstallation } from './installation.ts'
import { createLoads, LOAD_SERVICES, type Load, type Loads } from './load.ts'
import { createSharing, type Sharing } from './sharing.ts'

/** Jobs that end before, between and after what is done to a stage. */
const JOBS = 8
const START_MS = 300_000
/** The victim has its share of every job, and is not the only one to have one. */
const VICTIM = 'locate'

let installation: Installation
let sharing: Sharing
let loads: Loads

before(async () => {
  if (skip) return
  installation = await startInstallation({
    services: LOAD_SERVICES,
    // Nobody looks at traces here.
    env: { WEIR_OTLP_URL: '' },
  })
  sharing = createSharing(installation.operator, `${VICTIM}@1`)
  loads = await createLoads(installation)
  await scale(2)
})

after(async () => {
  loads?.stop()
  await installation?.stop()
})

async function scale(instances: number): Promise<void> {
  const how = ['--detach', '--wait', '--no-recreate', '--no-deps']
  const { compose } = installation.compose
  await compose(['up', ...how, '--scale', `${VICTIM}=${instances}`, VICTIM], START_MS)
  await sharing.between(instances)
}

async function victim(): Promise<Container> {
  const [container] = await installation.compose.inspect(VICTIM)
  assert.ok(container)
  return container
}

/** What containers of the victim end with from now on, as soon as so many have. */
function nextExits(count: number): () => Promise<readonly number[]> {
  const { exits } = installation
  const before = exits.of(VICTIM).length
  const since = () => exits.of(VICTIM).slice(before)
  return async () => {
    await until(`${count} containers to have ended`, () => since().length >= count)
    return since()
  }
}

const engine = (...args: readonly string[]) => installation.compose.run(args)

/** Does something to the stage while jobs run, and compares what has come of every one of them. */
async function underLoad(name: string, act: (load: Load) => Promise<void>): Promise<void> {
  const load = loads.start(name)
  await load.progress(JOBS)
  await act(load)
  await load.progress(JOBS)
  await load.finish()
}

test('a container that is killed: the others take over what it had', { skip }, async () => {
  const { Id: id } = await victim()
  await underLoad('killed', async (load) => {
    await engine('kill', id)
    await sharing.between(1)
    await load.progress(JOBS)
    await engine('start', id)
    await sharing.between(2)
  })
})

test('a container that sleeps beyond its session wakes up as a zombie, and harms nothing', {
  skip,
}, async () => {
  const { Id: id, State: before } = await victim()
  await underLoad('paused', async (load) => {
    await engine('pause', id)
    await sharing.between(1)
    await load.progress(JOBS)
    await engine('unpause', id)
    await sharing.between(2)
  })
  const { State: state } = await victim()
  assert.equal(state.StartedAt, before.StartedAt, 'it was started anew')
})

test('a container that is cut from the network and connected again takes part again', {
  skip,
}, async () => {
  const { Id: id, State: before } = await victim()
  const network = `${installation.compose.project}_messages`
  await underLoad('cut', async (load) => {
    await engine('network', 'disconnect', network, id)
    await sharing.between(1)
    await load.progress(JOBS)
    await engine('network', 'connect', '--alias', VICTIM, network, id)
    await sharing.between(2)
  })
  const { State: state } = await victim()
  assert.equal(state.StartedAt, before.StartedAt, 'it was started anew')
})

test('a container beyond its memory is killed by the kernel, starts again, and work goes on', {
  skip,
}, async () => {
  const { Id: id, HostConfig: limits, RestartCount: before } = await victim()
  const exits = nextExits(1)
  // Its /tmp is memory of the container too: that way the limit is met without a fault of the code.
  const fill = `
    const file = require('node:fs').openSync('/tmp/fill', 'w')
    for (let at = 0; at < ${limits.Memory}; at += 1e6) require('node:fs').writeSync(file, Buffer.alloc(1e6))`
  await underLoad('out-of-memory', async () => {
    // The kernel takes the process that fills it as well.
    await engine('exec', id, 'node', '-e', fill).catch(() => {})
    await until('it to start again', async () => (await victim()).RestartCount > before, START_MS)
    await sharing.between(2)
  })
  assert.deepEqual(await exits(), [137])
})

test('a stage is scaled up and down; what is taken away has finished what it had', {
  skip,
}, async () => {
  const exits = nextExits(2)
  await underLoad('scaled', async (load) => {
    await scale(3)
    await load.progress(JOBS)
    await scale(1)
    await load.progress(JOBS)
    await scale(2)
  })
  assert.deepEqual(await exits(), [0, 0])
})
