import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFigures } from './stage-figures.ts'

test('the throughput is that of the last ten seconds or so, within two percent, however often it is told', () => {
  for (const beatMs of [100, 1_000, 5_000]) {
    let nowMs = 0
    let told = 0
    const figures = createFigures(() => nowMs)
    const run = (seconds: number, perSecond: number) => {
      for (const endMs = nowMs + seconds * 1_000; nowMs < endMs; nowMs += 100) {
        for (let one = 0; one < perSecond / 10; one++) figures.observe(1, 2)
        if (nowMs % beatMs === 0) told = figures.toRecord().perSecond
      }
    }
    run(60, 50)
    assert.ok(Math.abs(told - 50) <= 1, `${told}/s told every ${beatMs} ms`)
    run(60, 200)
    assert.ok(Math.abs(told - 200) <= 4, `${told}/s told every ${beatMs} ms`)
    run(60, 0)
    assert.equal(told, 0)
  }
})

test('the last failure is told by its code', () => {
  const figures = createFigures()
  assert.equal(figures.toRecord().lastError, undefined)
  figures.failed('first')
  figures.failed('second')
  assert.equal(figures.toRecord().lastError?.code, 'second')
})
