import { runStage } from '@weir/engine'
import { definePass } from './pass.ts'

await runStage(definePass('bench-c'))
