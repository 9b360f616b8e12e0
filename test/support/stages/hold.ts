import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runStage } from '@weir/engine'
import { createPool, type Pool } from '@weir/postgres'
import { defineStage, Transient } from '@weir/sdk'
import { stageName } from './stage-name.ts'

/**
 * A stage whose handlers hold what somebody has to give back: a file, a timer, a child process, an
 * open stream, a connection with an advisory lock. Each leaves a line in the log when it is taken and
 * when it is given back; one cleanup fails after it has done its work.
 */
type Told = {
  readonly log: string
  readonly dir: string
  readonly stream: string
  readonly postgres: string
  readonly ms: number
  /** The first attempt of every third element fails and is made again. */
  readonly isFlaky?: boolean
}

const CONCURRENCY = 24
let pool: Pool | undefined

await runStage(
  defineStage({
    name: stageName,
    version: '1.0.0',
    concurrency: CONCURRENCY,
    async run(input, ctx) {
      const told = ctx.config as unknown as Told
      const { job, run, step, item, attempt } = ctx
      const note = (what: string) => {
        const line = { what, at: Date.now(), pid: process.pid, job, run, step, item, attempt }
        appendFileSync(told.log, `${JSON.stringify(line)}\n`)
      }
      /** Registered before it is taken: whatever happens in between, it is given back. */
      const hold = (name: string, giveBack: () => unknown) => {
        note(`take ${name}`)
        ctx.onCleanup(async () => {
          note(`give ${name}`)
          await giveBack()
          if (name === 'timer') throw new Error('a cleanup that fails')
        })
      }

      note('start')
      const file = join(told.dir, `${job}-${step}-${item}-${attempt}`)
      hold('file', () => rmSync(file))
      writeFileSync(file, '')
      const timer = setInterval(() => {}, 1_000)
      hold('timer', () => clearInterval(timer))
      const child = spawn('sleep', ['600'], { stdio: 'ignore' })
      await once(child, 'spawn')
      hold(`child ${child.pid}`, async () => {
        const exit = once(child, 'exit')
        child.kill('SIGKILL')
        await exit
      })
      const stream = new AbortController()
      hold('stream', () => stream.abort())
      await fetch(told.stream, { signal: stream.signal })
      pool ??= createPool({
        url: told.postgres,
        max: CONCURRENCY,
        applicationName: 'weir-hold',
        onError: () => {},
      })
      const client = await pool.connect()
      hold('lock', async () => {
        await client.query('select pg_advisory_unlock_all()')
        client.release()
      })
      await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [file])

      await new Promise<void>((resolve, reject) => {
        const work = setTimeout(resolve, told.ms)
        ctx.signal.addEventListener('abort', () => {
          clearTimeout(work)
          reject(ctx.signal.reason)
        })
      })
      if (told.isFlaky && attempt === 1 && item.endsWith('0')) {
        throw new Transient('flaky', 'the first attempt fails', { retryAfterMs: 400 })
      }
      note('done')
      return input
    },
  }),
)
