import type { TestEvent } from 'node:test/reporters'

/** A reporter of the test runner: the numbers of the whole run, as JSON, and nothing else. */
export default async function* countTests(events: AsyncIterable<TestEvent>) {
  for await (const event of events)
    if (event.type === 'test:summary' && event.data.file === undefined)
      yield JSON.stringify(event.data.counts)
}
