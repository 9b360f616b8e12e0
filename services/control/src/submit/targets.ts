import { hash } from 'node:crypto'
import type { PipelineDocument, Plan } from '@weir/contracts'
import { asTenant, findSubmitTarget, type Pool } from '@weir/postgres'
import { createNextFlight } from './next-flight.ts'

/** A published version as submits need it. */
export type Target = {
  readonly version: number
  readonly planId: string
  readonly plan: Plan
  /** JSON text of the input's schema. */
  readonly inputSchema: string | undefined
  readonly deadlineMs: number | null
  /** What becomes of submits where the path has no room; `queueMax` where the oldest give way. */
  readonly overload: {
    readonly policy: NonNullable<PipelineDocument['onOverload']>
    readonly queueMax: number | null
  }
}

const PARSED_MAX = 1_000

export type Targets = (
  tenant: string,
  pipeline: string,
  version: number | undefined,
) => Promise<Target | undefined>

/**
 * Looks up where a submit goes: as of now, so a version that was just published counts on every
 * instance; many at once share the look-up, and a version, which never changes, is parsed once.
 */
export function createTargets(pool: Pool): Targets {
  const parsed = new Map<string, Target>()
  const look = createNextFlight(async (key) => {
    const [tenant = '', pipeline = '', version = ''] = key.split('\n')
    const wanted = version === '' ? undefined : Number(version)
    const found = await findSubmitTarget(asTenant(pool, tenant), tenant, pipeline, wanted)
    if (found === undefined) return undefined
    // The plan's id covers the plan only; the input's contract and the deadline are in the document.
    const id = `${tenant}/${found.planId}/${hash('sha256', found.effective)}`
    const known = parsed.get(id)
    if (known !== undefined) return known
    const effective = JSON.parse(found.effective) as PipelineDocument
    const { input, deadlineMs = null, onOverload: policy = 'block', queueMax = null } = effective
    const target: Target = {
      version: found.version,
      planId: found.planId,
      plan: JSON.parse(found.plan),
      inputSchema: input === undefined ? undefined : JSON.stringify(input),
      deadlineMs,
      overload: { policy, queueMax },
    }
    parsed.set(id, target)
    if (parsed.size > PARSED_MAX) parsed.delete(parsed.keys().next().value as string)
    return target
  })
  return (tenant, pipeline, version) => look(`${tenant}\n${pipeline}\n${version ?? ''}`)
}
