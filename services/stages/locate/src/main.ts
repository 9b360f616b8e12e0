import { runStage } from '@weir/engine'
import { locate } from './stage.ts'

await runStage(locate)
