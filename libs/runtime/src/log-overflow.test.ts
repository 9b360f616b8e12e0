import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { until } from '../../../test/support/until.ts'

type Line = {
  readonly msg: string
  readonly n?: number
  readonly lost?: number
  [field: string]: unknown
}

/** Some 8 MB of lines: twice what is buffered, and more than any pipe holds beside it. */
const MANY = 30_000

const heard = async (child: ChildProcess) => {
  const [said] = (await once(child, 'message')) as [{ dropped: number }]
  return said.dropped
}

test('what a reader that stalls does not take is dropped, and every line is accounted for', async () => {
  const child = fork(join(import.meta.dirname, 'test-support/write-lines.ts'), {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  await heard(child)
  const startedAt = Date.now()
  child.send({ write: MANY })
  const dropped = await heard(child)
  assert.ok(dropped > 0, 'the buffer is bounded')
  assert.ok(dropped < MANY, 'and there is one')

  const lines: Line[] = []
  assert.ok(child.stdout)
  createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line) as Line))
  const written = () => lines.filter(({ n }) => n !== undefined)
  await until('all that was kept', () => written().length === MANY - dropped)
  const telling = await until('a word on what was lost', () =>
    lines.find(({ lost }) => lost !== undefined),
  )
  const { time: _, from, to, ...rest } = telling
  assert.deepEqual(rest, {
    level: 'warn',
    service: 'writer',
    signal: 'logs',
    lost: dropped,
    reasons: { buffer_full: dropped },
    msg: 'lines of this log were lost',
  })
  assert.ok(startedAt <= Date.parse(String(from)) && String(from) <= String(to))

  // The reader is back: nothing more is lost, and nothing is told of twice.
  child.send({ write: 100 })
  assert.equal(await heard(child), dropped)
  child.send('end')
  await once(child, 'exit')
  const numbers = written().map(({ n }) => n as number)
  assert.equal(numbers.length, MANY - dropped + 100)
  assert.equal(lines.length, numbers.length + 1)
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
    'those kept are in their order',
  )
})

for (const [how, code] of [
  ['in order', 0],
  ['by a mistake', 1],
] as const) {
  test(`a process that nobody reads ends ${how} all the same`, async () => {
    const child = fork(join(import.meta.dirname, 'test-support/talk-on.ts'), {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const exit = once(child, 'exit')
    await once(child, 'message')
    if (code === 0) child.kill('SIGTERM')
    else child.send('fall')
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
    assert.deepEqual(await exit, [code, null])
    clearTimeout(late)
  })
}
