import { askHolder } from './home-lock.ts'
import { stopLeftovers } from './leftovers.ts'
import { removeRunFile } from './run-file.ts'
import { readHome } from './up-options.ts'
import { waitUntil } from './wait.ts'

// Four tiers, each with the supervisor's grace of 20 s, and some more.
const stopTimeoutMs = 100_000
const leftoverGraceMs = 10_000

const say = (line: string): void => {
  process.stderr.write(`weir: ${line}\n`)
}

const home = readHome(process.env)
const holder = await askHolder(home)
if (holder !== undefined) {
  say(`stopping ${home}`)
  process.kill(holder, 'SIGTERM')
  const isReleased = async (): Promise<boolean> => (await askHolder(home)) === undefined
  if (!(await waitUntil(isReleased, { timeoutMs: stopTimeoutMs, intervalMs: 100 }))) {
    say('it does not stop, killing it')
    process.kill(holder, 'SIGKILL')
  }
}
// What a supervisor that was killed, now or earlier, has left behind.
const found = await stopLeftovers(home, leftoverGraceMs)
removeRunFile(home)
say(holder !== undefined || found > 0 ? 'down' : 'nothing is running')
