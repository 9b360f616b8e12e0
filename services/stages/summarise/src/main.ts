import { runStage } from '@weir/engine'
import { summarise } from './stage.ts'

await runStage(summarise)
