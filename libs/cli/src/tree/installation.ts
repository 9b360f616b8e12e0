import { pageOptions, quotaOption, saveContextOption, saveKeyOption } from './shared-options.ts'
import { ALL_FORMATS, type CommandSpec, yesOption } from './spec.ts'

const ref = {
  name: '<stage>',
  text: 'reference of the stage, `locate@1`',
  completes: 'stages',
} as const
const source = { name: '<stage>', text: 'name in services/stages, or a folder' } as const
const tenant = { name: '<tenant>', text: 'id of the tenant' } as const
const operations = {
  activate: 'Let a launched stage take messages',
  deactivate: 'Let a stage take no further messages',
  reactivate: 'Let a deactivated stage take messages again',
  terminate: 'End a stage for good',
} as const

const stages = () => import('../commands/stage.ts')
const tenants = () => import('../commands/tenant.ts')
const keys = () => import('../commands/key.ts')

const stageCommands: readonly CommandSpec[] = [
  {
    name: 'init',
    summary: 'Write a new stage with its test and a pipeline to try it',
    more:
      'Inside of a checkout of Weir it stands in services/stages and in the lock file of its ' +
      'packages, and there its test, its process and its image work at once.',
    args: [{ name: '<name>', text: 'name of the stage' }],
    options: [
      { flags: '--dir <folder>', text: 'where its folder is made' },
      {
        flags: '--kind <kind>',
        text: 'kind of the stage (transform)',
        choices: ['transform', 'enrich', 'route', 'guard', 'work', 'agent'],
      },
    ],
    examples: [['weir stage init geocode --kind enrich', 'a stage that adds to what it is given']],
    load: async () => (await import('../commands/stage-init.ts')).initStage,
  },
  {
    name: 'test',
    summary: 'Run the tests that stand beside a stage',
    args: [source],
    examples: [['weir stage test geocode', 'without Kafka, and with nothing running']],
    load: async () => (await import('../commands/stage-run.ts')).testStage,
  },
  {
    name: 'run',
    summary: 'Run a stage beside what `weir up` has started',
    more:
      'Registers the stage with the contracts of its source, gives it its key, and runs one ' +
      'instance until Ctrl-C, which lets it finish what it has begun. Contracts that break an ' +
      'earlier version are refused before anything starts, with exit status 5.',
    args: [source],
    options: [
      { flags: '--partitions <n>', text: 'of a new stage: parallelism over instances (4)' },
      { flags: '--watch', text: 'start anew when its source changes' },
    ],
    examples: [
      ['weir stage run geocode', 'one instance; a second one in another terminal shares the work'],
      ['weir stage run geocode --watch', 'while it is written'],
    ],
    load: async () => (await import('../commands/stage-run.ts')).runStage,
  },
  {
    name: 'wait',
    summary: 'Wait until instances of a stage take messages',
    args: [ref],
    options: [
      { flags: '--stage-version <version>', text: 'instances of this version only' },
      { flags: '--instances <n>', text: 'how many (1)' },
      { flags: '--timeout <ms>', text: 'give up after this long, with exit status 6 (60000)' },
    ],
    examples: [
      ['weir stage wait geocode@1 --stage-version 1.0.1', 'before the old instances are stopped'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/stage-wait.ts')).waitForStage,
  },
  {
    name: 'list',
    summary: 'List stages',
    options: [
      {
        flags: '--state <state>',
        text: 'in a state; may be repeated',
        isList: true,
        choices: ['created', 'launched', 'active', 'deactivated', 'terminating', 'terminated'],
      },
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/get.ts')).getStages,
  },
  {
    name: 'get',
    summary: 'Show a stage: state, instances, contracts',
    args: [ref],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/get.ts')).getStages,
  },
  {
    name: 'register',
    summary: 'Register a stage, or change it (operators)',
    more: 'The key of a new stage is shown once.',
    args: [ref],
    options: [
      {
        flags: '-f, --file <file>',
        text: 'settings as YAML or JSON, - for stdin; flags win over it',
      },
      {
        flags: '--from <stage>',
        text: 'take kind and contracts from its source: a name in services/stages, or a folder',
      },
      { flags: '--kind <kind>', text: 'transform, enrich, route, guard, work or agent' },
      { flags: '--partitions <n>', text: 'parallelism over instances; fixed from then on (4)' },
      { flags: '--lane <lane>', text: 'high, normal; may be repeated', isList: true },
      { flags: '--in-flight-max <n>', text: 'jobs that may be in flight at it' },
      { flags: '--target-delay <ms>', text: 'how long records may wait before less is let in' },
      { flags: '--no-auto-activate', text: 'wait for `weir stage activate`' },
      { flags: '--image <image>', text: 'container image, for `weir stage render`' },
      { flags: '--env <k=v>', text: 'variable of its containers; may be repeated', isList: true },
      { flags: '--replicas <min:max>', text: 'instances' },
      saveKeyOption,
    ],
    examples: [
      ['weir stage register locate@1 --partitions 8 --save-key locate.key', 'the key in a file'],
      [
        'weir stage register locate@1 --from locate --image weir-stage-locate:1.0.1',
        'a new version, refused at once where it breaks the one before',
      ],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await stages()).registerStage,
  },
  {
    name: 'key',
    summary: 'Make a further key of a stage (operators)',
    args: [ref],
    options: [saveKeyOption],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await stages()).addStageKey,
  },
  ...Object.entries(operations).map(
    ([name, summary]): CommandSpec => ({
      name,
      summary: `${summary} (operators)`,
      args: [ref],
      options: name === 'terminate' ? [yesOption] : [],
      isRemote: true,
      formats: ALL_FORMATS,
      load: async () => (await stages()).stageOperations[name as keyof typeof operations],
    }),
  ),
  {
    name: 'telemetry',
    summary: 'Figures of a stage: counts, wait and work, its input (operators)',
    args: [ref],
    isRemote: true,
    formats: ['table', 'json', 'yaml'],
    load: async () => (await stages()).showTelemetry,
  },
  {
    name: 'render',
    summary: 'Print what runs a stage in containers, from its registration (operators)',
    more: 'The stage’s key is only referred to: compose takes it from the environment, Kubernetes from a secret.',
    args: [ref],
    options: [
      { flags: '--target <target>', text: 'compose or k8s (compose)', choices: ['compose', 'k8s'] },
      { flags: '--image <image>', text: 'instead of the registered one' },
      { flags: '--brokers <list>', text: 'Kafka brokers as the containers see them (kafka:9092)' },
      { flags: '--namespace <name>', text: 'k8s: namespace (weir)' },
      {
        flags: '--kafka-secret <name>',
        text: 'k8s: Secret with username, password and ca.pem for the brokers',
      },
      {
        flags: '--prometheus <url>',
        text: 'Kubernetes: the Prometheus that KEDA asks how many instances the watchdog wants',
      },
    ],
    examples: [['weir stage render locate@1 --target k8s | kubectl apply -f -', 'deploy it']],
    isRemote: true,
    load: async () => (await import('../commands/stage-render.ts')).renderStage,
  },
]

const filters: NonNullable<CommandSpec['options']> = [
  {
    flags: '--status <status>',
    text: 'in a status; may be repeated',
    isList: true,
    choices: [
      'queued',
      'running',
      'cancelling',
      'completed',
      'completed_with_failures',
      'failed',
      'cancelled',
      'dropped',
    ],
  },
  { flags: '--pipeline <name>', text: 'of a pipeline', completes: 'pipelines' },
  { flags: '--tag <k=v>', text: 'with a tag; may be repeated', isList: true },
  { flags: '--correlation-id <id>', text: 'with a correlation id' },
  { flags: '--idempotency-key <key>', text: 'submitted under a key' },
  { flags: '--failed-step <step>', text: 'that failed in a step' },
  { flags: '--from <time>', text: 'submitted at or after (RFC 3339)' },
  { flags: '--to <time>', text: 'submitted before (RFC 3339)' },
  ...pageOptions,
]

const get = () => import('../commands/get.ts')

const getCommands: readonly CommandSpec[] = [
  {
    name: 'jobs',
    aliases: ['job'],
    summary: 'Jobs, newest first, or one job',
    args: [{ name: '[job]', text: 'id of a job', completes: 'jobs' }],
    options: [
      ...filters,
      { flags: '--include <parts>', text: 'of one job also: input, outputs, or both with a comma' },
    ],
    examples: [
      ['weir get jobs --status failed --pipeline delays', 'what failed'],
      ['weir get jobs --status failed -o name | xargs -n1 weir trace', 'ids for another command'],
      ['weir get job 0192… --include outputs -o json', 'one job with the outputs of its steps'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getJobs,
  },
  {
    name: 'pipelines',
    aliases: ['pipeline'],
    summary: 'Pipelines, or the document of one',
    args: [{ name: '[pipeline]', text: 'name of a pipeline', completes: 'pipelines' }],
    options: [
      { flags: '--pipeline-version <n>', text: 'of one pipeline: another version' },
      ...pageOptions,
    ],
    examples: [['weir get pipeline hello -o yaml', 'as published, and with its defaults']],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getPipelines,
  },
  {
    name: 'stages',
    aliases: ['stage'],
    summary: 'Stages, or one stage',
    args: [{ name: '[stage]', text: 'reference of a stage', completes: 'stages' }],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getStages,
  },
  {
    name: 'tenants',
    aliases: ['tenant'],
    summary: 'Tenants, or one tenant (operators)',
    args: [{ name: '[tenant]', text: 'id of a tenant' }],
    options: pageOptions,
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getTenants,
  },
  {
    name: 'keys',
    aliases: ['key'],
    summary: 'Keys of the tenant',
    args: [{ name: '[key]', text: 'id of a key' }],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getKeys,
  },
]

const keyCommands: readonly CommandSpec[] = [
  {
    name: 'create',
    summary: 'Make a key; it is shown once',
    args: [{ name: '<name>', text: 'what it is for' }],
    options: [
      {
        flags: '--role <role>',
        text: 'what it may do (needed)',
        choices: ['admin', 'developer', 'submitter', 'viewer'],
      },
      { flags: '--scope <scope>', text: 'payload:read; may be repeated', isList: true },
      { flags: '--expires <time>', text: 'RFC 3339, or a span: 90d, 12h' },
      saveKeyOption,
    ],
    examples: [
      ['weir key create ci --role submitter --expires 90d --save-key ci.key', 'for a machine'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await keys()).createKey,
  },
  {
    name: 'list',
    summary: 'List keys, revoked ones too',
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getKeys,
  },
  {
    name: 'revoke',
    summary: 'Revoke a key, everywhere within 30 s',
    args: [{ name: '<key>', text: 'id of the key' }],
    options: [yesOption],
    isRemote: true,
    load: async () => (await keys()).revokeKey,
  },
]

const tenantCommands: readonly CommandSpec[] = [
  {
    name: 'create',
    summary: 'Add a tenant; the key of its administrator is shown once',
    args: [{ name: '<name>', text: 'name of the tenant' }],
    options: [quotaOption, saveKeyOption, saveContextOption],
    examples: [
      ['weir tenant create acme --save-context acme', 'then: weir context use acme'],
      ['weir tenant create acme --quota maxQueuedJobs=5000 --save-key acme.key', 'with a quota'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await tenants()).createTenant,
  },
  {
    name: 'list',
    summary: 'List tenants',
    options: pageOptions,
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getTenants,
  },
  {
    name: 'get',
    summary: 'Show a tenant with its quotas',
    args: [tenant],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await get()).getTenants,
  },
  {
    name: 'update',
    summary: 'Change name, quotas or suspension',
    args: [tenant],
    options: [
      { flags: '--rename <name>', text: 'another name' },
      quotaOption,
      { flags: '--suspend', text: 'its keys stop working' },
      { flags: '--unsuspend', text: 'its keys work again' },
    ],
    examples: [['weir tenant update 0192… --quota weight=2', 'twice the share']],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await tenants()).updateTenant,
  },
  {
    name: 'delete',
    summary: 'Delete a tenant',
    args: [tenant],
    options: [yesOption],
    isRemote: true,
    load: async () => (await tenants()).deleteTenant,
  },
]

export const installationCommands: readonly CommandSpec[] = [
  {
    name: 'get',
    group: 'Look:',
    summary: 'List or show jobs, pipelines, stages, tenants, keys',
    children: getCommands,
  },
  {
    name: 'flow',
    group: 'Look:',
    summary: 'Show the level behind each stage: lag, age, gate',
    options: [
      { flags: '-w, --watch', text: 'go on until Ctrl-C' },
      { flags: '--interval <ms>', text: 'with --watch: how often (1000)' },
    ],
    examples: [['weir flow -w', 'live']],
    isRemote: true,
    formats: ['table', 'json', 'yaml'],
    load: async () => (await import('../commands/flow.ts')).flow,
  },
  {
    name: 'audit',
    group: 'Look:',
    summary: 'Show who did what and who was denied it: the tenant’s log, or the installation’s',
    more: 'Operators see the installation’s log, and with --tenant and --reason that of a tenant.',
    options: [
      { flags: '--action <action>', text: 'of an action: key.create, access.denied …' },
      { flags: '--actor <actor>', text: 'by an actor: key:<id>, operator, weir, nobody' },
      {
        flags: '--decision <decision>',
        text: 'what was allowed, or what was not',
        choices: ['allowed', 'denied'],
      },
      {
        flags: '--since <time>',
        text: 'at or after a time (RFC 3339), or a span ago: 15m, 2h, 7d',
      },
      { flags: '--until <time>', text: 'before a time, or a span ago' },
      ...pageOptions,
    ],
    examples: [
      ['weir audit --decision denied --since 1h', 'who was denied or refused what, lately'],
      ['weir audit --action admission.refused', 'when jobs were refused, by which quota'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/audit.ts')).showAudit,
  },
  {
    name: 'doctor',
    group: 'Look:',
    summary: 'Check address, credential, server and clock, and say what to do',
    isRemote: true,
    formats: ['table', 'json', 'yaml'],
    examples: [['weir doctor', 'when something does not work']],
    load: async () => (await import('../commands/doctor.ts')).doctor,
  },
  {
    name: 'stage',
    group: 'Stages:',
    summary: 'Write, register and run stages',
    children: stageCommands,
  },
  { name: 'tenant', group: 'Tenants:', summary: 'Tenants (operators)', children: tenantCommands },
  { name: 'key', group: 'Tenants:', summary: 'Keys of a tenant', children: keyCommands },
]
