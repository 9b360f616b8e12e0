export { runStage } from './run-stage.ts'
