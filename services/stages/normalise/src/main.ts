import { runStage } from '@weir/engine'
import { normalise } from './stage.ts'

await runStage(normalise)
