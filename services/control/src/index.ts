export { buildApp } from './app.ts'
export { controlSettings } from './config.ts'
export { type Control, type ControlConfig, createControl } from './control.ts'
export { stopControl } from './stop.ts'
