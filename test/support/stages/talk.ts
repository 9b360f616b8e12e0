import { stageName } from './stage-name.ts'

/** The stage `act` where little of what handlers say is passed on, under the policy that its name ends in. */
Object.assign(process.env, {
  WEIR_EVENTS_POLICY: stageName.replace(/^talk-/, '').replace('-', '_'),
  WEIR_EVENTS_QUEUE: '100',
  WEIR_EVENTS_PER_SECOND: '400',
})
await import('./act.ts')
