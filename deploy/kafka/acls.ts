/** Prints or makes the ACLs of an installation: `node deploy/kafka/acls.ts --help`. */
import { parseArgs } from 'node:util'
import {
  createTopics,
  PLATFORM_ROLES,
  parseStageRef,
  platformAccess,
  stageAccess,
} from '@weir/contracts'
import { type Acl, connectKafka, createAdmin, KafkaError } from '@weir/kafka'
import { ConfigError, kafkaSettings, readConfig, toKafkaConnection } from '@weir/runtime'

const help = `Prints or makes the ACLs that each part of Weir needs at the brokers, and no others.

  node deploy/kafka/acls.ts [--print | --apply] [--principal NAME=PRINCIPAL]… STAGE…

STAGE is <ref>:<next>: the stage, and which stages it sends to.
  normalise@1:mean@1        sends to mean@1
  split@1:locate@1,score@1  sends to both
  publish@1:                sends to none
  route@1:*                 sends to any

  --print      kafka-acls.sh lines on standard output (the default); nothing is connected
  --apply      makes those that are missing, as the user of WEIR_KAFKA_SASL_USERNAME, who must be
               allowed to alter the cluster; run again it changes nothing, and it removes nothing
  --principal  who a part is at the brokers, where it is not User:weir-<part>; the parts are
               ${PLATFORM_ROLES.join(', ')} and stage-<name>-<major>
                 --principal ledger=User:CN=ledger,O=acme

WEIR_PREFIX starts the names of topics and groups; --apply also reads the other variables of Kafka
(docs/reference/config.md).`

class UsageError extends Error {}

type Options = {
  readonly isApply: boolean
  readonly principals: ReadonlyMap<string, string>
  readonly stages: readonly { readonly ref: string; readonly next: readonly string[] }[]
}

function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      print: { type: 'boolean' },
      apply: { type: 'boolean' },
      principal: { type: 'string', multiple: true, default: [] },
    },
  })
  if (values.print && values.apply) throw new UsageError('--print or --apply, not both')
  const stages = positionals.map(readStage)
  const parts = [...PLATFORM_ROLES, ...stages.map(({ ref }) => partOf(ref))]
  const principals = new Map(parts.map((part) => [part, `User:weir-${part}`]))
  for (const given of values.principal) {
    const [part = '', ...rest] = given.split('=')
    const principal = rest.join('=')
    if (!principals.has(part)) throw new UsageError(`--principal ${given}: no part is "${part}"`)
    if (!/^User:./.test(principal))
      throw new UsageError(`--principal ${given}: a principal is User:<name>`)
    principals.set(part, principal)
  }
  return { isApply: values.apply === true, principals, stages }
}

function readStage(given: string): { ref: string; next: string[] } {
  const [ref = '', list, ...rest] = given.split(':')
  if (parseStageRef(ref) === undefined || list === undefined || rest.length > 0)
    throw new UsageError(`"${given}" is not <name>@<major>:<next>,…`)
  const next = list.split(',').filter((part) => part !== '')
  for (const part of next)
    if (part !== '*' && parseStageRef(part) === undefined)
      throw new UsageError(`"${given}": "${part}" is not <name>@<major>`)
  return { ref, next }
}

const partOf = (ref: string): string => `stage-${ref.replace('@', '-')}`

/** The whole list, in the order of the table. */
function listAcls(prefix: string | undefined, { principals, stages }: Options): Acl[] {
  const topics = createTopics(prefix)
  const principalOf = (part: string) => principals.get(part) as string
  return [
    ...PLATFORM_ROLES.flatMap((role) =>
      platformAccess(topics, role).map((access) => ({ principal: principalOf(role), ...access })),
    ),
    ...stages.flatMap(({ ref, next }) =>
      stageAccess(topics, ref, next).map((access) => ({
        principal: principalOf(partOf(ref)),
        ...access,
      })),
    ),
  ]
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

function toLine({ principal, kind, name, pattern, operation }: Acl): string {
  const server = '--bootstrap-server "$WEIR_KAFKA_BROKERS" --command-config admin.properties'
  const resource = `--${kind} ${quote(name)} --resource-pattern-type ${pattern}`
  const what = `--add --allow-principal ${quote(principal)} --operation ${operation}`
  return `kafka-acls.sh ${server} ${what} ${resource}`
}

async function apply(acls: readonly Acl[]): Promise<void> {
  const config = readConfig(kafkaSettings)
  const kafka = connectKafka({ ...toKafkaConnection(config), clientId: 'weir-acls' })
  const admin = createAdmin({ kafka })
  try {
    const principals = [...new Set(acls.map(({ principal }) => principal))]
    const known: Acl[] = []
    for (const one of principals) known.push(...(await admin.listAcls(one)))
    const has = (list: readonly Acl[], wanted: Acl) =>
      list.some((one) => keyOf(one) === keyOf(wanted))
    const missing = acls.filter((acl) => !has(known, acl))
    await admin.createAcls(missing)
    for (const acl of missing) console.log(`+ ${describe(acl)}`)
    console.log(`${missing.length} made, ${acls.length - missing.length} were there`)
    const more = known.filter((acl) => !has(acls, acl))
    for (const acl of more) console.error(`not needed, left alone: ${describe(acl)}`)
  } finally {
    await admin.disconnect()
  }
}

const keyOf = ({ principal, kind, name, pattern, operation }: Acl): string =>
  JSON.stringify([principal, kind, name, pattern, operation])

const describe = ({ principal, kind, name, pattern, operation }: Acl): string =>
  `${principal} may ${operation} ${kind} ${name}${pattern === 'prefixed' ? '*' : ''}`

async function main(args: string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) return console.log(help)
  const options = readOptions(args)
  const acls = listAcls(process.env.WEIR_PREFIX || undefined, options)
  if (options.isApply) await apply(acls)
  else for (const acl of acls) console.log(toLine(acl))
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const isUsage =
    error instanceof UsageError ||
    (error as Error & { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  if (!isUsage && !(error instanceof ConfigError) && !(error instanceof KafkaError)) throw error
  console.error(`weir acls: ${(error as Error).message}${isUsage ? ' (--help says how)' : ''}`)
  process.exitCode = isUsage ? 2 : 1
}
// A connection that the client still holds open must not keep a command that is done.
process.exit()
