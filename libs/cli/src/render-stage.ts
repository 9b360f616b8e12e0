import type { Stage } from '@weir/client'
import { createTopics } from '@weir/contracts'

export type RenderOptions = {
  readonly image: string
  /** `host:port`, comma separated, as the containers see them. */
  readonly brokers: string
  readonly namespace: string
  /** Kubernetes: Secret with `username`, `password` and, where needed, `ca.pem` for the brokers. */
  readonly kafkaSecret?: string
  /** Kubernetes: address of a Prometheus that has the watchdog's metrics. */
  readonly prometheus?: string
}

const PORT = 9_464
/** Longer than a stage takes to drain (WEIR_STOP_GRACE_MS), so that it is not killed meanwhile. */
const STOP_SECONDS = 30

/** `locate@1` → `weir-stage-locate-1`. */
const resourceName = (ref: string): string => `weir-stage-${ref.replace('@', '-')}`

const environment = (stage: Stage, brokers: string): Record<string, string> => ({
  ...stage.spec.env,
  WEIR_KAFKA_BROKERS: brokers,
  WEIR_HTTP_HOST: '0.0.0.0',
  WEIR_HTTP_PORT: String(PORT),
})

/** One instance beyond the partitions would have nothing to do. */
const replicasOf = ({ spec, partitions }: Stage): number =>
  Math.min(partitions, Math.max(1, spec.replicas?.min ?? 1))

/** A service for a compose file; the key comes from the environment of whoever starts it. */
export function toCompose(stage: Stage, { image, brokers }: RenderOptions): unknown {
  const variable = `WEIR_STAGE_KEY_${stage.ref.replace(/[@-]/g, '_').toUpperCase()}`
  // Compose would take a dollar sign for the start of a variable.
  const literal = Object.entries(environment(stage, brokers)).map(([name, value]) => [
    name,
    value.replaceAll('$', '$$$$'),
  ])
  const limits = limitsOf(stage)
  return {
    services: {
      [`stage-${stage.ref.replace('@', '-')}`]: {
        image,
        environment: {
          ...Object.fromEntries(literal),
          WEIR_STAGE_KEY: `\${${variable}:?the key of ${stage.ref}}`,
        },
        deploy: {
          replicas: replicasOf(stage),
          ...(limits === undefined ? {} : { resources: { limits } }),
        },
        init: true,
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
        stop_grace_period: `${STOP_SECONDS}s`,
      },
    },
  }
}

function limitsOf({ spec }: Stage): Record<string, string> | undefined {
  const limits = spec.resources?.limits as { cpu?: unknown; memory?: unknown } | undefined
  if (typeof limits !== 'object' || limits === null) return undefined
  return {
    ...(limits.cpu === undefined ? {} : { cpus: toCpus(String(limits.cpu)) }),
    ...(limits.memory === undefined ? {} : { memory: toComposeMemory(String(limits.memory)) }),
  }
}

/** `500m` is half a processor. */
const toCpus = (text: string): string =>
  text.endsWith('m') ? String(Number(text.slice(0, -1)) / 1_000) : text

/** `512Mi` → `512m`: what compose calls a megabyte is 1024² bytes too. */
const toComposeMemory = (text: string): string => text.replace(/i?$/, '').toLowerCase()

/** Least and most instances, where its registration says that they follow the load. */
function scaleOf({ spec, partitions }: Stage): { min: number; max: number } | undefined {
  if (spec.replicas === undefined) return undefined
  const min = Math.min(spec.replicas.min, partitions)
  const max = Math.min(spec.replicas.max, partitions)
  return max > min ? { min, max } : undefined
}

/**
 * What lets KEDA follow the load: as many instances as the watchdog wants, where a Prometheus has its
 * metrics; else the lag of the stage's group, lane by lane, with all instances wanted when half of
 * what may be in flight at the stage waits. The lag sees only what the stage's gate has let in. Two more
 * or less at a time, with time between: every change of instances divides the partitions anew.
 */
function toScaler(
  stage: Stage,
  { brokers, kafkaSecret, prometheus }: RenderOptions,
  metadata: { readonly name: string },
  { min, max }: { min: number; max: number },
): unknown[] {
  const authentication = { authenticationRef: { name: metadata.name } }
  const topics = createTopics(stage.spec.env?.WEIR_PREFIX)
  const lagThreshold = Math.max(1, Math.floor(stage.inFlightMax / (2 * max)))
  const steps = { policies: [{ type: 'Pods', value: 2, periodSeconds: 30 }] }
  const object = {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata,
    spec: {
      scaleTargetRef: { name: resourceName(stage.ref) },
      minReplicaCount: min,
      maxReplicaCount: max,
      pollingInterval: 15,
      cooldownPeriod: 90,
      advanced: {
        horizontalPodAutoscalerConfig: {
          behavior: {
            scaleUp: steps,
            scaleDown: { ...steps, stabilizationWindowSeconds: 90 },
          },
        },
      },
      ...(prometheus !== undefined && { fallback: { failureThreshold: 3, replicas: max } }),
      triggers:
        prometheus !== undefined
          ? [wantedTrigger(stage, prometheus)]
          : stage.lanes.map((lane) => ({
              type: 'kafka',
              metadata: {
                bootstrapServers: brokers,
                consumerGroup: topics.stageGroup(stage.ref),
                topic: topics.input(stage.ref, lane),
                lagThreshold: String(lagThreshold),
                // A group that has lost its offsets is for its operator, not for more instances.
                offsetResetPolicy: 'earliest',
                ...(kafkaSecret !== undefined && { sasl: 'scram_sha512', tls: 'enable' }),
              },
              ...(kafkaSecret !== undefined && authentication),
            })),
    },
  }
  return kafkaSecret === undefined || prometheus !== undefined
    ? [object]
    : [toAuthentication(kafkaSecret, metadata), object]
}

/** One instance for each that is wanted. */
const wantedTrigger = ({ ref }: Stage, serverAddress: string) => ({
  type: 'prometheus',
  metadata: {
    serverAddress,
    query: `max(weir_stage_instances_wanted{stage="${ref}"})`,
    threshold: '1',
    // While no watchdog leads nothing is known: KEDA then keeps to the fallback.
    ignoreNullValues: 'false',
  },
})

/** Lets KEDA ask the brokers with the stage's own account, which may see its group and no other. */
function toAuthentication(secret: string, metadata: object): unknown {
  const from = (parameter: string, key: string) => ({ parameter, name: secret, key })
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'TriggerAuthentication',
    metadata,
    spec: {
      secretTargetRef: [
        from('username', 'username'),
        from('password', 'password'),
        from('ca', 'ca.pem'),
      ],
    },
  }
}

/**
 * A Deployment, what keeps it up while nodes are drained, what it may talk to, how it grows. The
 * labels are those by which deploy/k8s/base knows a stage.
 */
export function toKubernetes(stage: Stage, options: RenderOptions): readonly unknown[] {
  const { image, brokers, namespace } = options
  const name = resourceName(stage.ref)
  const scale = scaleOf(stage)
  const labels = {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/part-of': 'weir',
    'weir.dev/role': 'stage',
  }
  const selector = { matchLabels: { 'app.kubernetes.io/name': name } }
  const metadata = { name, namespace, labels }
  const env = Object.entries(environment(stage, brokers)).map(([key, value]) => ({
    name: key,
    value,
  }))
  const probe = (path: string) => ({ httpGet: { path, port: 'http' }, timeoutSeconds: 3 })
  const container = {
    name: 'stage',
    image,
    // What the whole installation shares; what is said here counts more.
    envFrom: [{ configMapRef: { name: 'weir-config', optional: true } }],
    env: [
      ...env,
      ...kafkaAccount(options.kafkaSecret),
      { name: 'WEIR_STAGE_KEY', valueFrom: { secretKeyRef: { name, key: 'stage-key' } } },
    ],
    ports: [{ name: 'http', containerPort: PORT }],
    ...(stage.spec.resources === undefined ? {} : { resources: stage.spec.resources }),
    startupProbe: { ...probe('/healthz'), periodSeconds: 2, failureThreshold: 30 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 5 },
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 6 },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  }
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        // Whoever scales it says how many: a number here would be set back with each apply.
        ...(scale === undefined ? { replicas: replicasOf(stage) } : {}),
        selector,
        // One more first, then one less: the partitions always have somebody who takes them.
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            terminationGracePeriodSeconds: STOP_SECONDS,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [container],
            volumes: [{ name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '32Mi' } }],
          },
        },
      },
    },
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata,
      spec: { maxUnavailable: 1, selector },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata,
      spec: {
        podSelector: selector,
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ ports: [{ port: PORT, protocol: 'TCP' }] }],
        egress: [
          {
            ports: [
              { port: 53, protocol: 'UDP' },
              { port: 53, protocol: 'TCP' },
            ],
          },
          // The collector of traces, and the brokers.
          { ports: [4_318, ...brokerPorts(brokers)].map((port) => ({ port, protocol: 'TCP' })) },
        ],
      },
    },
    ...(scale === undefined ? [] : toScaler(stage, options, metadata, scale)),
  ]
}

function brokerPorts(brokers: string): number[] {
  return [...new Set(brokers.split(',').map((broker) => Number(broker.split(':').at(-1))))]
}

/** TLS and SCRAM, as deploy/k8s/overlays/managed has it; an authority need not be in the Secret. */
function kafkaAccount(secret: string | undefined): unknown[] {
  if (secret === undefined) return []
  const from = (name: string, key: string, optional = false) => ({
    name,
    valueFrom: { secretKeyRef: { name: secret, key, ...(optional && { optional }) } },
  })
  return [
    { name: 'WEIR_KAFKA_TLS', value: 'true' },
    { name: 'WEIR_KAFKA_SASL_MECHANISM', value: 'scram-sha-512' },
    from('WEIR_KAFKA_SASL_USERNAME', 'username'),
    from('WEIR_KAFKA_SASL_PASSWORD', 'password'),
    from('WEIR_KAFKA_TLS_CA', 'ca.pem', true),
  ]
}
