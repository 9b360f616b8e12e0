import { pageOptions, waitStatusOption } from './shared-options.ts'
import { ALL_FORMATS, type CommandSpec, yesOption } from './spec.ts'

const group = 'Jobs:'
const job = { name: '<job>', text: 'id of the job', completes: 'jobs' } as const

export const jobCommands: readonly CommandSpec[] = [
  {
    name: 'submit',
    group,
    summary: 'Submit a job, or many',
    more:
      'One job prints its id, many print all their ids, one a line. Many come as NDJSON: one object a line with ' +
      '`input` and, as far as wanted, `priority`, `orderingKey`, `tags`, `idempotencyKey`, `deadlineMs`, ' +
      '`correlationId`, `version`. They go out in batches of up to 1,000; where the server has no room (429) the ' +
      'command waits as it says and goes on with smaller ones. With --idempotency-key line n has the key ' +
      '`KEY:n`, so that a submit that was interrupted can be repeated as a whole.',
    args: [{ name: '<pipeline>', text: 'name of the pipeline', completes: 'pipelines' }],
    options: [
      { flags: '-d, --data <json>', text: 'the input: JSON, @file, or - for stdin (null)' },
      { flags: '--ndjson <file>', text: 'many jobs, one a line; - for stdin' },
      { flags: '--raw', text: 'with --ndjson: each line is an input, not an object with `input`' },
      { flags: '--count', text: 'with --ndjson: print how many were accepted, not their ids' },
      { flags: '--tag <k=v>', text: 'a tag; may be repeated', isList: true },
      { flags: '--idempotency-key <key>', text: 'the same key again gives the same job' },
      { flags: '--priority <n>', text: '0 to 255 (128)' },
      { flags: '--ordering-key <key>', text: 'jobs with the same key run one after the other' },
      { flags: '--correlation-id <id>', text: 'an id of yours, kept over all hops' },
      { flags: '--deadline <ms>', text: 'the run ends at the latest this long after its submit' },
      { flags: '--pipeline-version <n>', text: 'a version other than the current one' },
      { flags: '--wait [ms]', text: 'wait for the end and print the job (60000)' },
      waitStatusOption,
    ],
    examples: [
      [`weir submit hello -d '{"values":[1,2,3]}' --wait`, 'submit and show how it ended'],
      ['weir submit delays -d @day.json --tag day=2026-03-01', 'input from a file'],
      [
        'weir submit delays --ndjson days.ndjson --idempotency-key import-7',
        'many, safe to repeat',
      ],
      ['generate | weir submit hello --ndjson - --raw --count', 'inputs from a pipe'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/submit.ts')).submit,
  },
  {
    name: 'watch',
    group,
    summary: 'Follow a job until it ends',
    more: 'In a terminal its steps as they are, elsewhere one line per event (with -o json one object a line).',
    args: [job],
    options: [
      waitStatusOption,
      { flags: '--timeout <ms>', text: 'give up after this long, with exit status 6' },
    ],
    examples: [
      ['weir watch 0192…', 'live'],
      ['weir watch 0192… --exit-status && next', 'go on only when it has completed'],
    ],
    isRemote: true,
    formats: ['table', 'json'],
    load: async () => (await import('../commands/watch.ts')).watch,
  },
  {
    name: 'trace',
    group,
    summary: 'Show where the time of a job went',
    more: 'A waterfall of its steps, from the job itself: waiting (░) and working (█). With the trace id, and a link where the server knows a Jaeger.',
    args: [job],
    examples: [['weir trace 0192…', 'the waterfall']],
    isRemote: true,
    formats: ['table', 'json', 'yaml'],
    load: async () => (await import('../commands/trace.ts')).trace,
  },
  {
    name: 'artifact',
    group,
    summary: 'What the handlers of a job have made beside their outputs',
    children: [
      {
        name: 'list',
        summary: 'List the artifacts of a job',
        args: [job],
        examples: [['weir artifact list 0192…', 'all of them, in the order of its log']],
        isRemote: true,
        formats: ALL_FORMATS,
        load: async () => (await import('../commands/artifact.ts')).listArtifacts,
      },
      {
        name: 'get',
        summary: 'Get the content of an artifact',
        more: 'Goes to --to, or to stdout where that is a file or a pipe. A file that is there stays as it is.',
        args: [
          job,
          { name: '<artifact>', text: 'its name (the latest of that name) or its number' },
        ],
        options: [{ flags: '--to <file>', text: 'where to put it' }],
        examples: [
          ['weir artifact get 0192… report.csv --to report.csv', 'into a file'],
          ['weir artifact get 0192… report.csv | head', 'into a pipe'],
        ],
        isRemote: true,
        load: async () => (await import('../commands/artifact.ts')).getArtifact,
      },
    ],
  },
  {
    name: 'cancel',
    group,
    summary: 'Cancel a job, or all that a filter names',
    more:
      'A queued job ends at once. A running one is `cancelling` until its handlers have been aborted and their ' +
      'cleanups have run; what had completed stays readable. With a filter it is said how many jobs that is before ' +
      'anything is done.',
    args: [{ ...job, name: '[job]', text: 'id of the job; else a filter' }],
    options: [
      { flags: '--pipeline <name>', text: 'filter: of a pipeline', completes: 'pipelines' },
      {
        flags: '--status <status>',
        text: 'filter: in a status; may be repeated',
        isList: true,
        choices: ['queued', 'running'],
      },
      { flags: '--tag <k=v>', text: 'filter: with a tag; may be repeated', isList: true },
      { flags: '--correlation-id <id>', text: 'filter: with a correlation id' },
      { flags: '--from <time>', text: 'filter: submitted at or after (RFC 3339)' },
      { flags: '--to <time>', text: 'filter: submitted before (RFC 3339)' },
      { flags: '--all', text: 'every job of the tenant, instead of a filter' },
      { flags: '--because <text>', text: 'why; it stands in the jobs’ events' },
      { flags: '--dry-run', text: 'say how many that would be; cancel nothing' },
      yesOption,
    ],
    examples: [
      ['weir cancel 0192… --because "wrong day"', 'ask for its end'],
      ['weir cancel --pipeline delays --dry-run', 'how many that would be'],
      [
        'weir cancel --pipeline delays --status queued --because "bad input" --yes',
        'empty its queue',
      ],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/cancel.ts')).cancel,
  },
  {
    name: 'replay',
    group,
    summary: 'Run jobs again',
    children: [
      {
        name: 'start',
        summary: 'Start a replay',
        more:
          '`repair` runs what has not completed; `reexecute` runs --from-step and all that follows again. ' +
          'Upstream outputs are reused.',
        args: [{ name: '[jobs...]', text: 'ids of jobs; else a filter', completes: 'jobs' }],
        options: [
          { flags: '--pipeline <name>', text: 'filter: of a pipeline', completes: 'pipelines' },
          { flags: '--status <status>', text: 'filter: in a status' },
          { flags: '--failed-step <step>', text: 'filter: that failed in a step' },
          { flags: '--error-code <code>', text: 'filter: with an error code' },
          { flags: '--from <time>', text: 'filter: submitted at or after' },
          { flags: '--to <time>', text: 'filter: submitted before' },
          { flags: '--from-step <step>', text: 'where to begin' },
          {
            flags: '--strategy <strategy>',
            text: 'repair or reexecute (repair)',
            choices: ['repair', 'reexecute'],
          },
          {
            flags: '--use-version <version>',
            text: 'pinned or current (pinned)',
            choices: ['pinned', 'current'],
          },
          { flags: '--rate <n>', text: 'jobs per second' },
          { flags: '--because <text>', text: 'why (needed)' },
          { flags: '--dry-run', text: 'say what would run; run nothing' },
        ],
        examples: [
          [
            'weir replay start --pipeline delays --status failed --because "fixed" --dry-run',
            'what would run',
          ],
          ['weir replay start 0192… --because "fixed"', 'repair one job'],
        ],
        isRemote: true,
        formats: ALL_FORMATS,
        load: async () => (await import('../commands/replay.ts')).startReplay,
      },
      {
        name: 'list',
        summary: 'List replays',
        options: pageOptions,
        isRemote: true,
        formats: ALL_FORMATS,
        load: async () => (await import('../commands/replay.ts')).listReplays,
      },
      ...(['get', 'pause', 'resume', 'cancel'] as const).map(
        (name): CommandSpec => ({
          name,
          summary: name === 'get' ? 'Show a replay' : `Ask a replay to ${name}`,
          args: [{ name: '<replay>', text: 'id of the replay' }],
          isRemote: true,
          formats: ALL_FORMATS,
          load: async () => (await import('../commands/replay.ts')).replayCommands[name],
        }),
      ),
    ],
  },
  {
    name: 'dlq',
    group,
    summary: 'Work on dead letters',
    children: deadLetterCommands(),
  },
]

function deadLetterCommands(): readonly CommandSpec[] {
  const load = () => import('../commands/dlq.ts')
  const filters: NonNullable<CommandSpec['options']> = [
    { flags: '--stage <ref>', text: 'of a stage', completes: 'stages' },
    { flags: '--pipeline <name>', text: 'of a pipeline', completes: 'pipelines' },
    { flags: '--step <step>', text: 'of a step' },
    { flags: '--code <code>', text: 'with an error code' },
    { flags: '--fingerprint <fingerprint>', text: 'of a group' },
    { flags: '--status <status>', text: 'of a status', choices: ['open', 'redriven', 'discarded'] },
    { flags: '--from <time>', text: 'failed at or after' },
    { flags: '--to <time>', text: 'failed before' },
  ]
  const letters = { name: '[ids...]', text: 'ids of dead letters; else a filter' } as const
  const because = { flags: '--because <text>', text: 'why (needed)' } as const
  return [
    {
      name: 'list',
      summary: 'List dead letters',
      options: [...filters, ...pageOptions],
      examples: [['weir dlq list --stage locate@1 --status open', 'what waits for a decision']],
      isRemote: true,
      formats: ALL_FORMATS,
      load: async () => (await load()).listLetters,
    },
    {
      name: 'get',
      summary: 'Show a dead letter with its attempts and payload',
      args: [{ name: '<id>', text: 'id of the dead letter' }],
      isRemote: true,
      formats: ['json', 'yaml'],
      load: async () => (await load()).getLetter,
    },
    {
      name: 'groups',
      summary: 'Count dead letters by what went wrong',
      options: filters,
      isRemote: true,
      formats: ALL_FORMATS,
      load: async () => (await load()).groupLetters,
    },
    {
      name: 'redrive',
      summary: 'Run dead letters again',
      args: [letters],
      options: [
        ...filters,
        { flags: '--rate <n>', text: 'letters per second' },
        because,
        { flags: '--dry-run', text: 'say what would run; run nothing' },
      ],
      examples: [
        ['weir dlq redrive --fingerprint 3f… --because "fixed in 1.2.0"', 'all of a group'],
      ],
      isRemote: true,
      formats: ALL_FORMATS,
      load: async () => (await load()).redriveLetters,
    },
    {
      name: 'discard',
      summary: 'Put dead letters aside for good',
      args: [letters],
      options: [...filters, because, yesOption],
      isRemote: true,
      formats: ['json', 'yaml'],
      load: async () => (await load()).discardLetters,
    },
  ]
}
