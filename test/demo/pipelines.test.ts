import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { LANES } from '@weir/contracts'
import { parse } from 'yaml'
import { checkPipeline } from '../../libs/core/src/plan/check-pipeline.ts'
import { parsePipeline } from '../../libs/core/src/plan/parse-pipeline.ts'
import { alert } from '../../services/stages/alert/src/stage.ts'
import { classify } from '../../services/stages/classify/src/stage.ts'
import { locate } from '../../services/stages/locate/src/stage.ts'
import { mean } from '../../services/stages/mean/src/stage.ts'
import { normalise } from '../../services/stages/normalise/src/stage.ts'
import { publish } from '../../services/stages/publish/src/stage.ts'
import { split } from '../../services/stages/split/src/stage.ts'
import { summarise } from '../../services/stages/summarise/src/stage.ts'

const stages = new Map(
  [alert, classify, locate, mean, normalise, publish, split, summarise].map((stage) => {
    const { ref, kind, contracts } = stage
    return [ref as string, { ref, kind, lanes: LANES, contracts }]
  }),
)

for (const name of ['hello', 'delays']) {
  test(`the pipeline ${name} fits the contracts of its stages`, () => {
    const file = new URL(`../../services/stages/pipelines/${name}.yaml`, import.meta.url)
    const parsed = parsePipeline(parse(readFileSync(file, 'utf8')))
    assert.ok('document' in parsed, JSON.stringify(parsed))
    const { errors, warnings } = checkPipeline(parsed.document, { stages })
    assert.deepEqual([...errors, ...warnings], [])
  })
}
