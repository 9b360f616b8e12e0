import { runStage } from '@weir/engine'
import { publish } from './stage.ts'

await runStage(publish)
