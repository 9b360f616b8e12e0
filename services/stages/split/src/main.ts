import { runStage } from '@weir/engine'
import { split } from './stage.ts'

await runStage(split)
