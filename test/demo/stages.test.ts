import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson } from '@weir/contracts'
import { type Stage, testStage } from '@weir/sdk'
import { classify } from '../../services/stages/classify/src/stage.ts'
import { locate } from '../../services/stages/locate/src/stage.ts'
import { split } from '../../services/stages/split/src/stage.ts'
import { summarise } from '../../services/stages/summarise/src/stage.ts'
import { readDays } from './days.ts'
import { runReference } from './run-reference.ts'

const days = readDays()

async function outputOf(stage: Stage, input: unknown): Promise<unknown> {
  const { outcome } = await testStage(stage).run(input)
  assert.equal(outcome.status, 'ok', JSON.stringify(outcome))
  return outcome.output
}

test('the data holds ninety days and the reference a line for each', async () => {
  const lines = await runReference()
  assert.equal(days.length, 90)
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).date),
    days.map(({ date }) => date),
  )
  for (const line of lines) assert.equal(canonicalJson(JSON.parse(line)), line)
})

test('the stages by hand make the lines of the reference', async () => {
  const lines = await runReference()
  for (const day of [0, 44, 89]) {
    const flights = (await outputOf(split, days[day])) as unknown[]
    const classified = await Promise.all(
      flights.map(async (flight) => outputOf(classify, await outputOf(locate, flight))),
    )
    assert.equal(canonicalJson(await outputOf(summarise, classified)), lines[day])
  }
})
