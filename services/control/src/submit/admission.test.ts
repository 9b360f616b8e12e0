import assert from 'node:assert/strict'
import test from 'node:test'
import { WeirError } from '@weir/contracts'
import { type Admission, type Admitted, createAdmission } from './admission.ts'

type Job = { readonly input: string }
type Call = { readonly tenant: string; readonly inputs: string[]; readonly allOrNone: boolean }

const at = new Date(0)
const all = (jobs: readonly Job[]): Admitted[] =>
  jobs.map(({ input }) => ({ outcome: 'admitted', id: input, submittedAt: at }))

/** An admission whose statement waits until it is let go, so that submits meet it under way. */
function admissionOf(decide: (jobs: readonly Job[], call: number) => Admitted[] | Error) {
  const calls: Call[] = []
  const gates: (() => void)[] = []
  let admitted = 0
  let isOpen = false
  const admission: Admission<Job> = createAdmission<Job>({
    admit: async (tenant, jobs, allOrNone) => {
      calls.push({ tenant, inputs: jobs.map((job) => job.input), allOrNone })
      const call = calls.length
      if (!isOpen) await new Promise<void>((resolve) => gates.push(resolve))
      const answer = decide(jobs, call)
      if (answer instanceof Error) throw answer
      return answer
    },
    onAdmitted: (count) => {
      admitted += count
    },
    onGroup: () => {},
  })
  const open = () => {
    isOpen = true
    for (const gate of gates.splice(0)) gate()
  }
  return { admission, calls, open, admitted: () => admitted }
}

const untilCalled = async (calls: readonly Call[], count: number) => {
  while (calls.length < count) await new Promise(setImmediate)
}

test('submits that come while a statement is under way go together with the next', async () => {
  const { admission, calls, open, admitted } = admissionOf(all)
  const first = admission.submit('t', { input: '0' })
  await untilCalled(calls, 1)
  const rest = [1, 2, 3].map((n) => admission.submit('t', { input: String(n) }))
  open()
  for (const answer of await Promise.all([first, ...rest])) assert.equal(answer.outcome, 'admitted')
  assert.deepEqual(
    calls.map(({ inputs }) => inputs),
    [['0'], ['1', '2', '3']],
  )
  assert.equal(admitted(), 4)
})

test('tenants do not wait for each other', async () => {
  const { admission, calls, open } = admissionOf(all)
  const submits = ['a', 'b'].map((tenant) => admission.submit(tenant, { input: tenant }))
  await untilCalled(calls, 2)
  assert.deepEqual(calls.map(({ tenant }) => tenant).sort(), ['a', 'b'])
  open()
  await Promise.all(submits)
})

test('a batch is a statement of its own and keeps its place in the order', async () => {
  const { admission, calls, open } = admissionOf(all)
  const submits: Promise<unknown>[] = [admission.submit('t', { input: '0' })]
  await untilCalled(calls, 1)
  submits.push(admission.submit('t', { input: '1' }))
  submits.push(admission.submitBatch('t', [{ input: '2' }, { input: '3' }]))
  submits.push(admission.submit('t', { input: '4' }))
  open()
  await Promise.all(submits)
  assert.deepEqual(
    calls.map(({ inputs }) => inputs),
    [['0'], ['1'], ['2', '3'], ['4']],
  )
  assert.deepEqual(
    calls.map(({ allOrNone }) => allOrNone),
    [false, false, true, false],
  )
})

test('repeats, admitted and refused jobs of one group get their own answers', async () => {
  const answersOfGroup: Admitted[] = [
    { outcome: 'repeated', id: 'j', sameBody: true },
    { outcome: 'admitted', id: '1', submittedAt: at },
    { outcome: 'refused', quota: 'submitRatePerSecond', retryAfterMs: 700 },
  ]
  const { admission, open } = admissionOf(() => answersOfGroup)
  open()
  const answers = await Promise.all(
    ['0', '1', '2'].map((input) => admission.submit('t', { input })),
  )
  assert.deepEqual(answers, answersOfGroup)
})

test('a job that is too large does not take down what was submitted behind it', async () => {
  const { admission, open } = admissionOf((jobs) => {
    const large = jobs.findIndex(({ input }) => input === 'large')
    if (large === -1) return all(jobs)
    const refused = { outcome: 'refused', quota: 'maxPayloadBytes', retryAfterMs: null } as const
    return [...all(jobs.slice(0, large)), ...jobs.slice(large).map(() => refused)]
  })
  open()
  const inputs = ['a', 'large', 'b', 'large', 'c']
  const answers = await Promise.all(inputs.map((input) => admission.submit('t', { input })))
  assert.deepEqual(
    answers.map(({ outcome }) => outcome),
    ['admitted', 'refused', 'admitted', 'refused', 'admitted'],
  )
})

test('a statement that fails fails its own submits only', async () => {
  const { admission, calls, open } = admissionOf((jobs, call) =>
    call === 1 ? new Error('connection lost') : all(jobs),
  )
  const first = admission.submit('t', { input: '0' })
  await untilCalled(calls, 1)
  const second = admission.submit('t', { input: '1' })
  open()
  await assert.rejects(first, /connection lost/)
  assert.equal((await second).outcome, 'admitted')
})

test('groups are bounded in jobs, and so is what may wait', async () => {
  const { admission, calls, open } = admissionOf(all)
  const submits = [admission.submit('t', { input: '' })]
  await untilCalled(calls, 1)
  for (let n = 0; n < 5_000; n++) submits.push(admission.submit('t', { input: '' }))
  await assert.rejects(
    admission.submit('t', { input: '' }),
    (error) => WeirError.is(error) && error.code === 'unavailable',
  )
  open()
  await Promise.all(submits)
  assert.equal(Math.max(...calls.map(({ inputs }) => inputs.length)), 500)
})
