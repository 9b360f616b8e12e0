import { runStage } from '@weir/engine'
import { alert } from './stage.ts'

await runStage(alert)
