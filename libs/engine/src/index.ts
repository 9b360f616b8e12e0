export type { EngineCounters } from './counters.ts'
export { runStage } from './run-stage.ts'
export { type StageInstance, type StageOptions, startStage } from './start-stage.ts'
