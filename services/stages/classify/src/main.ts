import { runStage } from '@weir/engine'
import { classify } from './stage.ts'

await runStage(classify)
