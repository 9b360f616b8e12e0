import { appendFileSync, readFileSync } from 'node:fs'

/** Numbers of one run of the test runner, as `count-reporter.ts` writes them. */
export type TestCounts = Readonly<Record<(typeof KINDS)[number], number>>

const KINDS = ['tests', 'passed', 'failed', 'cancelled', 'skipped', 'todo'] as const

/** As the test runner names them at the end of its output. */
const LABELS = { passed: 'pass', failed: 'fail' } as Readonly<Record<string, string>>

/** What a runner wrote; one that died before it could is a test that failed. */
export function readCounts(file: string): TestCounts {
  const none = { tests: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
  try {
    return { ...none, ...(JSON.parse(readFileSync(file, 'utf8')) as Partial<TestCounts>) }
  } catch {
    return { ...none, tests: 1, failed: 1 }
  }
}

/** The sums, in the lines that end the output of the test runner. */
export function formatCounts(counts: readonly TestCounts[]): string {
  const sum = (kind: (typeof KINDS)[number]) => counts.reduce((all, one) => all + one[kind], 0)
  return KINDS.map((kind) => `# ${LABELS[kind] ?? kind} ${sum(kind)}`).join('\n')
}

/** Adds these to those of a file, if there is one, and gives all that it has now. */
export function addTotals(
  file: string | undefined,
  counts: readonly TestCounts[],
): readonly TestCounts[] {
  if (!file) return counts
  for (const one of counts) appendFileSync(file, `${JSON.stringify(one)}\n`)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as TestCounts)
}
