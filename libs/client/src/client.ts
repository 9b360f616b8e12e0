import { createAudit } from './audit.ts'
import { createDeadLetters } from './dead-letters.ts'
import { createInstallationCalls } from './installation.ts'
import { createJobs } from './jobs.ts'
import { createKeys } from './keys.ts'
import { createPipelines } from './pipelines.ts'
import { createReplays } from './replays.ts'
import { createStages } from './stages.ts'
import { createTenants } from './tenants.ts'
import { type ClientOptions, createTransport } from './transport.ts'

export type Client = ReturnType<typeof createClient>

/**
 * The REST API, typed: one credential at one address. Calls throw `ClientError` with the code of
 * the problem; idempotent ones are repeated on 429 and 503, after what `Retry-After` says.
 */
export function createClient(options: ClientOptions) {
  const transport = createTransport(options)
  return {
    ...createInstallationCalls(transport),
    jobs: createJobs(transport),
    pipelines: createPipelines(transport),
    stages: createStages(transport),
    tenants: createTenants(transport),
    keys: createKeys(transport),
    deadLetters: createDeadLetters(transport),
    replays: createReplays(transport),
    audit: createAudit(transport),
  }
}
