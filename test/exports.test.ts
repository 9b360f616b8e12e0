import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const sources = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], {
  cwd: root,
})
  .toString()
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)))
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const indexes = sources.filter((file) => /^libs\/[a-z]+\/src\/index\.ts$/.test(file))

/** What users of the packages are given, whether or not anything here takes it too. */
const surface: Record<string, readonly string[]> = {
  sdk: [
    ...[
      'ArtifactContent',
      'Budget',
      'CancelValue',
      'Cleanup',
      'ErrorAction',
      'InjectedFault',
      'InstanceContext',
    ],
    ...['Interceptor', 'JsonSchema', 'OutcomeValue', 'Returned', 'RouteValue', 'Schema'],
    ...['ShortCircuit', 'SkipValue', 'StageCheckError', 'StageDefinition', 'StageExample'],
    ...['StageFault', 'StageRule', 'TestResult', 'TestTask', 'checkStage', 'findStageFaults'],
  ],
  client: [
    ...[
      'ApiKey',
      'AuditPage',
      'BatchAnswer',
      'CancelCounts',
      'ClientErrorCode',
      'DeadLetter',
      'DeadLetterGroup',
      'FollowOptions',
      'GetJobOptions',
      'ItemCounts',
      'JobCounts',
      'JobPage',
      'JobRun',
      'JobSummary',
    ],
    ...['KeyRequest', 'Page', 'Pipeline', 'PipelineSummary', 'PipelineVersion'],
    ...['PipelineVersionSummary', 'Published', 'QuotaName', 'Readiness', 'ReplayPlan'],
    ...['RetryOptions', 'StageContract', 'StageInstance', 'SubmitOptions', 'Tenant'],
    ...['TenantChange', 'Usage', 'Validation', 'WaitOptions', 'WaitingFor', 'Whoami'],
  ],
}

/** Statements that are tested and wait for the part that is to use them. */
const ahead: Record<string, readonly string[]> = {
  postgres: [
    ...[
      'addOutbox',
      'listOverdue',
      'purgeJobs',
      'readPayloads',
      'reconcileUsage',
      'releaseStranded',
    ],
  ],
}

const packageOf = (file: string) => file.split('/')[1] as string

/** Names of `{ a, type b, c as d }`: those before `as`, or with `last` those after it. */
const namesIn = (list: string, at: 0 | -1): string[] =>
  list
    .split(',')
    .map((part) => part.trim().replace(/^type /, ''))
    .filter((part) => part !== '')
    .map((part) => part.split(' as ').at(at) as string)

const listed = (text: string, pattern: RegExp, at: 0 | -1): string[] =>
  [...text.matchAll(pattern)].flatMap((match) => namesIn(match[1] as string, at))

const exportsOf = (file: string): string[] =>
  listed(read(file), /export (?:type )?\{([^}]*)\}/g, -1)

/** Names that anything outside the package takes from it. */
function takenFrom(name: string): Set<string> {
  const from = `'@weir/${name}'`
  const statement = new RegExp(
    `(?:import|export)\\s+(?:type\\s+)?\\{([^}]*)\\}\\s+from\\s+${from}`,
    'g',
  )
  const late = new RegExp(`\\{([^}]*)\\} = await import\\(${from}\\)`, 'g')
  const taken = new Set<string>()
  for (const file of sources) {
    if (file.startsWith(`libs/${name}/`)) continue
    const text = read(file)
    if (!text.includes(from)) continue
    for (const one of listed(text, statement, 0)) taken.add(one)
    for (const one of listed(text.replaceAll(': ', ' as '), late, 0)) taken.add(one)
  }
  return taken
}

test('an index is a list of names', () => {
  for (const file of indexes) {
    const rest = read(file).replace(/export (?:type )?\{[^}]*\} from '[^']+'\n/g, '')
    assert.equal(rest.replace(/\/\*\*.*\*\/|\s/g, ''), '', file)
  }
})

test('what a package exports is taken by another, or is what users are given', () => {
  const dead: string[] = []
  for (const file of indexes) {
    const name = packageOf(file)
    const taken = takenFrom(name)
    const known = new Set([...(surface[name] ?? []), ...(ahead[name] ?? [])])
    for (const one of exportsOf(file)) {
      if (!taken.has(one) && !known.has(one)) dead.push(`${name}: ${one}`)
    }
  }
  assert.deepEqual(dead, [])
})

test('the lists name nothing that is not exported, or that is used by now', () => {
  const stale: string[] = []
  for (const [name, names] of [...Object.entries(surface), ...Object.entries(ahead)]) {
    const exported = new Set(exportsOf(`libs/${name}/src/index.ts`))
    for (const one of names) if (!exported.has(one)) stale.push(`${name}: ${one} is not exported`)
  }
  for (const [name, names] of Object.entries(ahead)) {
    const taken = takenFrom(name)
    for (const one of names) if (taken.has(one)) stale.push(`${name}: ${one} is used`)
  }
  assert.deepEqual(stale, [])
})
