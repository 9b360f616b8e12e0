import { parseStageRef } from './stage-ref.ts'
import type { Topics } from './topics.ts'

/** The processes of the platform that work with Kafka. */
export const PLATFORM_ROLES = ['control', 'dispatcher', 'ledger', 'watchdog'] as const
export type PlatformRole = (typeof PLATFORM_ROLES)[number]

/** One thing that a role must be allowed at the brokers, and nothing that it need not. */
export type Access = {
  readonly kind: 'topic' | 'group'
  readonly name: string
  /** `prefixed`: whatever begins with the name. */
  readonly pattern: 'literal' | 'prefixed'
  /** Reading, writing and creating include describing. */
  readonly operation: 'read' | 'write' | 'create' | 'describe'
}

const on = (
  kind: Access['kind'],
  pattern: Access['pattern'],
  operation: Access['operation'],
  ...names: readonly string[]
): Access[] => names.map((name) => ({ kind, name, pattern, operation }))

/** The input topics of all stages begin with this. */
const allInputs = (topics: Topics): string => `${topics.prefix}.in.`

/** The input topics of one stage, of all its lanes: the dot at the end keeps `mean.1` off `mean.10`. */
function inputsOf(topics: Topics, ref: string): string {
  const parsed = parseStageRef(ref)
  if (parsed === undefined) throw new Error(`"${ref}" is not a stage reference`)
  return `${allInputs(topics)}${parsed.name}.${parsed.major}.`
}

/** What each process of the platform does with which topic and group: the one table of it. */
export function platformAccess(topics: Topics, role: PlatformRole): Access[] {
  switch (role) {
    case 'control':
      return [
        ...on('topic', 'prefixed', 'create', `${topics.prefix}.`),
        ...on('topic', 'prefixed', 'describe', `${topics.prefix}.`),
        ...on('topic', 'literal', 'read', topics.registry, topics.changes, topics.gates),
        ...on('topic', 'literal', 'write', topics.control, topics.changes),
        // It commits offset 0 for a new stage; whoever commits must be allowed to read the topic.
        ...on('group', 'prefixed', 'read', `${topics.prefix}.stage.`),
        ...on('topic', 'prefixed', 'read', allInputs(topics)),
      ]
    case 'dispatcher':
      return [
        ...on(
          'topic',
          'literal',
          'read',
          topics.control,
          topics.changes,
          topics.plans,
          topics.gates,
        ),
        ...on('topic', 'literal', 'write', topics.plans, topics.registry),
        ...on('topic', 'prefixed', 'write', allInputs(topics)),
        // It waits until the ledger has read to the end.
        ...on('topic', 'literal', 'describe', topics.events),
      ]
    case 'ledger':
      return [
        ...on('group', 'literal', 'read', topics.ledgerGroup),
        ...on('topic', 'literal', 'read', topics.events, topics.registry, topics.changes),
        ...on('topic', 'literal', 'write', topics.control, topics.changes),
      ]
    case 'watchdog':
      return [
        ...on('group', 'literal', 'read', topics.watchdogGroup),
        ...on('topic', 'literal', 'read', topics.watchdog, topics.gates, topics.control),
        // Who works, and how much the dispatcher has let in.
        ...on('topic', 'literal', 'read', topics.registry),
        ...on('topic', 'literal', 'write', topics.watchdog, topics.gates),
        // How far each stage has come, and how old the record is that it has come to.
        ...on('group', 'prefixed', 'describe', `${topics.prefix}.stage.`),
        ...on('topic', 'prefixed', 'read', allInputs(topics)),
      ]
  }
}

/**
 * What a stage does. `next` are the stages that it may send to, as the edges of the pipelines say;
 * `*` is any of them.
 */
export function stageAccess(topics: Topics, ref: string, next: readonly string[]): Access[] {
  const own = inputsOf(topics, ref)
  const inputs = next.includes('*')
    ? [allInputs(topics)]
    : [...new Set([own, ...next.map((to) => inputsOf(topics, to))])]
  return [
    ...on('group', 'literal', 'read', topics.stageGroup(ref)),
    ...on('topic', 'prefixed', 'read', own),
    ...on('topic', 'literal', 'read', topics.control, topics.plans),
    // Its own inputs too: joins, retries and delays are messages to itself.
    ...on('topic', 'prefixed', 'write', ...inputs),
    ...on('topic', 'literal', 'write', topics.events, topics.registry, topics.deadLetters),
  ]
}
