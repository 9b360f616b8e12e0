export { startWatchdog, type Watchdog, type WatchdogOptions } from './watchdog.ts'
