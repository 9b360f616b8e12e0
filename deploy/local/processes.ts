/** A login role of Postgres that a process works under. */
export type DatabaseRole = 'control' | 'dispatcher' | 'ledger'
export type SecretName = 'masterKey' | 'operatorKey' | 'ledgerKey'

/** One process of the platform, or one stage, as data. */
export type PlatformProcess = {
  readonly name: string
  /** Its entry file, from the repository's root. */
  readonly main: string
  /** A module loaded before `main`. */
  readonly preload?: string
  readonly databaseRole?: DatabaseRole
  /** Secrets it reads from files. */
  readonly secrets?: readonly SecretName[]
  /** Set for a stage: what it is registered as before it starts. */
  readonly stage?: { readonly ref: string; readonly partitions: number }
  /** Whether its HTTP port is the installation's API port. */
  readonly isApi?: boolean
  /** Higher tiers are started later and stopped first. */
  readonly tier: number
}

const preload = '@weir/runtime/telemetry'

const control: PlatformProcess = {
  name: 'control',
  main: 'services/control/src/main.ts',
  preload,
  databaseRole: 'control',
  secrets: ['masterKey', 'operatorKey'],
  isApi: true,
  tier: 1,
}

const ledger: PlatformProcess = {
  name: 'ledger',
  main: 'services/ledger/src/main.ts',
  preload,
  databaseRole: 'ledger',
  secrets: ['ledgerKey'],
  tier: 2,
}

const dispatcher: PlatformProcess = {
  name: 'dispatcher',
  main: 'services/dispatcher/src/main.ts',
  preload,
  databaseRole: 'dispatcher',
  secrets: ['masterKey'],
  tier: 3,
}

/** Kafka is all that it needs: what is known of the load does not depend on the database. */
const watchdog: PlatformProcess = {
  name: 'watchdog',
  main: 'services/watchdog/src/main.ts',
  preload,
  tier: 3,
}

const stageNames = [
  'split',
  'locate',
  'normalise',
  'mean',
  'classify',
  'summarise',
  'publish',
  'alert',
]

const stages = stageNames.map(
  (name): PlatformProcess => ({
    name,
    main: `services/stages/${name}/src/main.ts`,
    preload,
    stage: { ref: `${name}@1`, partitions: 4 },
    tier: 3,
  }),
)

/** What `up` runs on top of Kafka and Postgres. */
export const platformProcesses: readonly PlatformProcess[] = [
  control,
  ledger,
  dispatcher,
  watchdog,
  ...stages,
]

/** The programs of others, in tier 0. Jaeger runs where the machine has one. */
export const infrastructureNames = ['kafka', 'postgres', 'jaeger'] as const
