import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { createTopics } from '@weir/contracts'
import { parse, parseAllDocuments } from 'yaml'
import { findSchemaFaults } from '../../../test/support/kubernetes-schemas.ts'
import { runCli } from '../test/support.ts'

const stage = {
  ref: 'geo-code@2',
  state: 'active',
  partitions: 4,
  lanes: ['high', 'normal'],
  inFlightMax: 600,
  spec: {
    image: 'weir/geo-code:2.1.0',
    env: { PRICE: '5$', WEIR_LOG_LEVEL: 'debug' },
    resources: { requests: { cpu: '250m' }, limits: { cpu: '500m', memory: '512Mi' } },
    replicas: { min: 9, max: 12 },
  },
}

type Context = Parameters<typeof startServer>[0]

const render = (t: Context, ...flags: string[]) => renderOf(t, stage, ...flags)

async function renderOf(t: Context, body: object, ...flags: string[]) {
  const { baseUrl } = await startServer(t, () => ({ body }))
  return runCli(['stage', 'render', stage.ref, '--api', baseUrl, ...flags])
}

test('for compose a stage is a service whose key comes from the environment', async (t) => {
  const { status, out } = await render(t, '--brokers', 'k1:9092,k2:9092')
  assert.equal(status, 0)
  assert.deepEqual(parse(out), {
    services: {
      'stage-geo-code-2': {
        image: 'weir/geo-code:2.1.0',
        environment: {
          PRICE: '5$$',
          WEIR_LOG_LEVEL: 'debug',
          WEIR_KAFKA_BROKERS: 'k1:9092,k2:9092',
          WEIR_HTTP_HOST: '0.0.0.0',
          WEIR_HTTP_PORT: '9464',
          WEIR_STAGE_KEY: `\${WEIR_STAGE_KEY_GEO_CODE_2:?the key of geo-code@2}`,
        },
        // More instances than partitions would be idle.
        deploy: { replicas: 4, resources: { limits: { cpus: '0.5', memory: '512m' } } },
        init: true,
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
        stop_grace_period: '30s',
      },
    },
  })
})

test('for Kubernetes it is a Deployment, a budget for disruptions and a NetworkPolicy that fit', async (t) => {
  const flags = ['--target', 'k8s', '--brokers', 'k1:9093', '--namespace', 'flow', '--image', 'i:1']
  const { status, out, err } = await render(t, ...flags)
  assert.equal(status, 0)
  // biome-ignore lint/suspicious/noExplicitAny: documents of three shapes
  const documents = parseAllDocuments(out).map((document) => document.toJS()) as any[]
  const [deployment, budget, policy] = documents
  assert.deepEqual(
    documents.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`),
    ['Deployment', 'PodDisruptionBudget', 'NetworkPolicy'].map(
      (kind) => `${kind} flow/weir-stage-geo-code-2`,
    ),
  )
  const { matchLabels } = deployment.spec.selector
  for (const [name, value] of Object.entries(matchLabels)) {
    assert.equal(deployment.spec.template.metadata.labels[name], value)
  }
  assert.deepEqual(budget.spec.selector.matchLabels, matchLabels)
  assert.deepEqual(policy.spec.podSelector.matchLabels, matchLabels)
  assert.deepEqual(policy.spec.egress.at(-1), {
    ports: [4318, 9093].map((port) => ({ port, protocol: 'TCP' })),
  })
  const [container] = deployment.spec.template.spec.containers
  assert.equal(container.image, 'i:1')
  assert.deepEqual(container.resources, stage.spec.resources)
  const { env } = container
  assert.deepEqual(env.at(-1), {
    name: 'WEIR_STAGE_KEY',
    valueFrom: { secretKeyRef: { name: 'weir-stage-geo-code-2', key: 'stage-key' } },
  })
  assert.match(err, /create secret generic weir-stage-geo-code-2 --from-file=stage-key=FILE/)
})

test('where its registration says how many there may be, KEDA follows the lag of its group', async (t) => {
  const env = { ...stage.spec.env, WEIR_PREFIX: 'shop' }
  const scaled = { ...stage, spec: { ...stage.spec, env, replicas: { min: 1, max: 12 } } }
  const { out } = await renderOf(t, scaled, '--target', 'k8s', '--brokers', 'k1:9093,k2:9093')
  // biome-ignore lint/suspicious/noExplicitAny: documents of several shapes
  const documents = parseAllDocuments(out).map((document) => document.toJS()) as any[]
  const [deployment] = documents
  const object = documents.find(({ kind }) => kind === 'ScaledObject')
  assert.equal(object.spec.scaleTargetRef.name, deployment.metadata.name)
  assert.equal(deployment.spec.replicas, undefined)
  // Not beyond the partitions: one more would have nothing to do.
  assert.deepEqual([object.spec.minReplicaCount, object.spec.maxReplicaCount], [1, 4])
  const topics = createTopics('shop')
  assert.deepEqual(
    object.spec.triggers,
    (['high', 'normal'] as const).map((lane) => ({
      type: 'kafka',
      metadata: {
        bootstrapServers: 'k1:9093,k2:9093',
        consumerGroup: topics.stageGroup('geo-code@2'),
        topic: topics.input('geo-code@2', lane),
        // Half of 600 over 4 instances.
        lagThreshold: '75',
        offsetResetPolicy: 'earliest',
      },
    })),
  )
})

const scalable = { ...stage, spec: { ...stage.spec, replicas: { min: 1, max: 12 } } }

async function renderAll(t: Context, ...flags: string[]) {
  const { status, out } = await renderOf(t, scalable, '--target', 'k8s', ...flags)
  assert.equal(status, 0)
  // biome-ignore lint/suspicious/noExplicitAny: documents of several shapes
  return parseAllDocuments(out).map((document) => document.toJS()) as any[]
}

test('what is rendered keeps to the schemas of Kubernetes and KEDA, to the last field', async (t) => {
  const documents = await renderAll(t, '--kafka-secret', 'account')
  assert.deepEqual(
    documents.map(({ kind }) => kind),
    ['Deployment', 'PodDisruptionBudget', 'NetworkPolicy', 'TriggerAuthentication', 'ScaledObject'],
  )
  for (const document of documents) assert.deepEqual(await findSchemaFaults(document), [])
})

test('with a Prometheus KEDA asks how many the watchdog wants, and asks no broker', async (t) => {
  const flags = ['--kafka-secret', 'account', '--prometheus', 'http://prometheus:9090']
  const documents = await renderAll(t, ...flags)
  const kinds = documents.map(({ kind }) => kind)
  assert.deepEqual(kinds, ['Deployment', 'PodDisruptionBudget', 'NetworkPolicy', 'ScaledObject'])
  const { spec } = documents.at(-1)
  assert.deepEqual(spec.triggers, [
    {
      type: 'prometheus',
      metadata: {
        serverAddress: 'http://prometheus:9090',
        query: 'max(weir_stage_instances_wanted{stage="geo-code@2"})',
        threshold: '1',
        ignoreNullValues: 'false',
      },
    },
  ])
  assert.deepEqual(spec.fallback, { failureThreshold: 3, replicas: 4 })
  for (const document of documents) assert.deepEqual(await findSchemaFaults(document), [])
})

test('the account at the brokers comes from a Secret, only by name, for KEDA too', async (t) => {
  const documents = await renderAll(t, '--kafka-secret', 'account')
  const { env } = documents[0].spec.template.spec.containers[0]
  const refOf = (wanted: string) =>
    env.find(({ name }: { name: string }) => name === wanted).valueFrom.secretKeyRef
  assert.deepEqual(refOf('WEIR_KAFKA_SASL_PASSWORD'), { name: 'account', key: 'password' })
  assert.deepEqual(refOf('WEIR_KAFKA_TLS_CA'), { name: 'account', key: 'ca.pem', optional: true })
  const [authentication, scaler] = documents.slice(-2)
  for (const { name } of authentication.spec.secretTargetRef) assert.equal(name, 'account')
  for (const { authenticationRef, metadata } of scaler.spec.triggers) {
    assert.deepEqual(authenticationRef, { name: authentication.metadata.name })
    assert.deepEqual([metadata.sasl, metadata.tls], ['scram_sha512', 'enable'])
  }
})
