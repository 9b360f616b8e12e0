import { runStage } from '@weir/engine'
import { mean } from './stage.ts'

await runStage(mean)
