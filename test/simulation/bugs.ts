import { digestOf, type MessageId, recordKey, type TaskReport } from '@weir/contracts'
import { fanOutOf } from '../../libs/core/src/message/outputs.ts'
import type { OutcomeBody } from '../../libs/core/src/message/result.ts'
import { type CommitPoint, createPartition } from '../../libs/core/src/partition/partition.ts'
import type { Bug, Produce } from './world.ts'

const atCommit = (change: (point: CommitPoint) => Partial<CommitPoint['metadata']>): Bug => ({
  wrap: () => ({
    commit: (point) => ({ ...point, metadata: { ...point.metadata, ...change(point) } }),
  }),
})

/** What the report of a written outcome says, made from what is appended instead of what is read. */
function reportOfOutcome(command: Extract<Produce, { do: 'append' }>): TaskReport | undefined {
  const { task } = command
  if (task === null) return undefined
  const { result, attempt, took, missing } = JSON.parse(command.value) as OutcomeBody
  const statuses = {
    ok: 'completed',
    skip: 'skipped',
    cancel: 'cancelled',
    fail: 'failed',
  } as const
  const fanOut = fanOutOf(task.plan, task.step, result)
  return {
    item: task.envelope.meta.item,
    status: statuses[result.status],
    attempt,
    at: 0,
    took,
    missing,
    ...(fanOut !== undefined && { fanOut }),
    ...(result.status === 'ok' && { output: result.output, digest: digestOf(result.output) }),
    ...(result.status === 'ok' && result.taken !== null && { taken: result.taken }),
    ...(result.status === 'skip' && result.failedBefore && { failedBefore: true }),
    ...(result.status === 'fail' && { error: result.error }),
  }
}

/** Rules of the protocol, each switched off by the harness around the real code. */
export const bugs: Readonly<Record<string, Bug>> = {
  'a record counts as finished before its own record is acknowledged': { isAckedEarly: true },

  'ids carry the attempt': {
    wrap: () => ({
      record: (record) => {
        const { envelope } = record
        if (envelope.meta.kind !== 'retry') return record
        const id = `${envelope.id}#${envelope.meta.attempt}` as MessageId
        return { ...record, envelope: { ...envelope, id } }
      },
    }),
    command: (command) => {
      if (command.do === 'append') return command
      const { attempt } = command.task ?? command.source.meta
      const messages = command.messages.map((message) => ({
        ...message,
        id: `${message.id}#${attempt}` as MessageId,
      }))
      return { ...command, messages }
    },
  },

  'duplicates are not remembered': {
    wrap: () => ({ partition: (options) => createPartition({ ...options, horizonMs: 0 }) }),
  },

  'a join counts as closed when its joined message is handed over': {
    wrap: () => {
      const open = new Map<string, number>()
      return {
        record: (record) => {
          const { envelope, step, offset } = record
          const { meta, job } = envelope
          if (step?.join == null) return record
          const item = meta.item.split('.', step.scope.length).join('.')
          const key = recordKey(job, meta.run, step.name, item)
          const isPart = ['data', 'skipped', 'failed', 'empty'].includes(meta.kind)
          if (isPart && !open.has(key)) open.set(key, offset)
          return record
        },
        appended: (command) => {
          if (command.envelope.meta.kind === 'joined')
            open.set(command.key, Number.MAX_SAFE_INTEGER)
        },
        commit: (point) => {
          const openFrom = Math.min(point.offset, ...open.values())
          return { ...point, metadata: { ...point.metadata, openFrom } }
        },
      }
    },
  },

  'the event is made when the outcome is written': {
    command: (command, world) => {
      if (command.do === 'append' && command.envelope.meta.kind === 'outcome') {
        const report = reportOfOutcome(command)
        const { job, meta } = command.envelope
        if (report !== undefined) world.report({ job, run: meta.run, step: meta.step, report })
        return command
      }
      const isOutcome = command.do === 'send' && command.source.meta.kind === 'outcome'
      return isOutcome ? { ...command, report: null } : command
    },
  },

  'one scope marker stands for several gathers': {
    command: (command) => {
      if (command.do !== 'send') return command
      let isFirst = true
      const messages = command.messages.filter((message) => {
        const depth = message.item === '' ? 0 : message.item.split('.').length
        if (message.edge.kind !== 'gather' || depth > message.target.scope.length) return true
        const keeps = isFirst
        isFirst = false
        return keeps
      })
      return { ...command, messages }
    },
  },

  'the refill reads no further back than the oldest open join': atCommit(({ metadata }) => ({
    restoreFrom: metadata.openFrom,
  })),

  'the commit does not name the oldest open join': atCommit(({ offset }) => ({
    openFrom: offset,
  })),

  'every outcome counts, not the first alone': {
    wrap: () => ({
      record: (record) => {
        const { envelope, offset } = record
        if (envelope.meta.kind !== 'outcome') return record
        const id = `${envelope.id}@${offset}` as MessageId
        return { ...record, envelope: { ...envelope, id } }
      },
    }),
  },

  'a fan-out sends its first instalment only': {
    command: (command) =>
      command.do === 'send' && command.report === null ? { ...command, messages: [] } : command,
  },

  'outcomes of routes and fan-outs are not written first': {
    wrap: () => ({
      record: (record) =>
        record.step === undefined
          ? record
          : { ...record, step: { ...record.step, writeOutcome: 'never' } },
    }),
  },
}
