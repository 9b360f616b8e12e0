import type { TestEvent } from 'node:test/reporters'
import type { Outcome } from './outcomes.ts'

/** A reporter of the test runner: what became of each test, one line of JSON each. */
export default async function* tellOutcomes(events: AsyncIterable<TestEvent>) {
  for await (const event of events) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const error = event.type === 'test:fail' ? event.data.details.error : undefined
    const cause = (error?.cause ?? error) as { code?: unknown; message?: unknown } | undefined
    const outcome: Outcome = {
      name: event.data.name,
      failure: error && {
        type: String((error as { failureType?: unknown }).failureType),
        code: String(cause?.code),
        message: String(cause?.message),
      },
    }
    yield `${JSON.stringify(outcome)}\n`
  }
}
