import { runService } from '../lifecycle.ts'

/** A service that writes more than anybody takes; told `fall`, it ends as by a mistake. */
await runService('talker', async ({ log }) => {
  const text = 'x'.repeat(500)
  const talk = () => {
    for (let n = 0; n < 5_000; n += 1) log.info({ n, text }, 'a line')
  }
  talk()
  talk()
  const timer = setInterval(talk, 50)
  process.on('message', () => {
    throw new Error('a mistake')
  })
  process.send?.('talking')
  return {
    stop: async () => {
      clearInterval(timer)
      process.channel?.unref()
    },
  }
})
