import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { platformProcesses } from '../deploy/local/processes.ts'
import { KAFKA_IMAGE, POSTGRES_IMAGE } from './support/containers.ts'
import { findSchemaFaults } from './support/kubernetes-schemas.ts'
import { buildKustomization } from './support/kustomize.ts'
import {
  clusterObjects,
  composeServices,
  type Document,
  manifestFiles,
  parse,
  read,
  root,
} from './support/manifests.ts'

const { version } = JSON.parse(read('package.json')) as { version: string }
const services = composeServices()
const objects = clusterObjects()
const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
const stages = platformProcesses.flatMap(({ name, stage }) => (stage ? [name] : []))
const platform = platformProcesses.flatMap(({ name, stage }) => (stage ? [] : [name]))
const ours = Object.keys(services).filter((name) => /^weir-/.test(services[name].image))

const tagOf = (image: string) => image.replace(/\$\{WEIR_VERSION:-([^}]*)\}/, '$1')
/** Services that a plain `docker compose up` starts. */
const first = Object.keys(services).filter((name) => services[name].profiles === undefined)
const podOf = (workload: Document) => workload.spec.template.spec
const containerOf = (workload: Document) => podOf(workload).containers[0]

/** The rest of a deep comparison that names what it is about. */
const eachEquals = (
  subjects: readonly string[],
  actual: (name: string) => unknown,
  wanted: unknown,
) =>
  assert.deepEqual(
    Object.fromEntries(subjects.map((name) => [name, actual(name)])),
    Object.fromEntries(subjects.map((name) => [name, wanted])),
  )

test('every file of the deployment can be read', () => {
  assert.ok(manifestFiles.length > 15)
  for (const file of manifestFiles) assert.ok(parse(file).length > 0, file)
})

test('compose has every process that the local launcher has, each with the same needs', () => {
  const names = [...platform, ...stages]
  assert.deepEqual(
    names.filter((name) => services[name] === undefined),
    [],
  )
  for (const { name, databaseRole, secrets = [], stage } of platformProcesses) {
    const variables = Object.keys(services[name].environment)
    const needs = {
      WEIR_POSTGRES_URL_FILE: databaseRole !== undefined,
      WEIR_MASTER_KEY_FILE: secrets.includes('masterKey'),
      WEIR_OPERATOR_KEY_FILE: secrets.includes('operatorKey'),
      WEIR_LEDGER_KEY_FILE: secrets.includes('ledgerKey'),
      WEIR_STAGE_KEY_FILE: stage !== undefined,
    }
    for (const [variable, isNeeded] of Object.entries(needs))
      assert.equal(variables.includes(variable), isNeeded, `${name}: ${variable}`)
  }
  const registered = services.register.command.slice(1)
  assert.deepEqual(registered.toSorted(), stages.map((name) => `${name}@1`).toSorted())
})

test('images are named alike wherever they are built, run and deployed', () => {
  for (const name of platform) assert.equal(tagOf(services[name].image), `weir-platform:${version}`)
  for (const name of stages) {
    assert.equal(tagOf(services[name].image), `weir-stage-${name}:${version}`)
    assert.equal(services[name].build.args.STAGE, name)
    assert.equal(tagOf(services[name].build.args.VERSION), version)
  }
  const built = new Set(ours.map((name) => tagOf(services[name].image)))
  const tags = Object.fromEntries(
    objects
      .filter(({ kind }) => kind === 'Kustomization' || kind === 'Component')
      .flatMap(({ images = [] }) => images)
      .map(({ name, newTag }: Document) => [name, newTag]),
  )
  for (const workload of workloads) {
    const { image } = containerOf(workload)
    assert.ok(built.has(`${image}:${tags[image]}`), `${workload.metadata.name}: ${image}`)
  }
  assert.equal(services.kafka.image, KAFKA_IMAGE)
  assert.equal(services.postgres.image, POSTGRES_IMAGE)
  for (const file of ['platform', 'stage'])
    assert.match(read(`deploy/docker/${file}.Dockerfile`), new RegExp(`ARG VERSION=${version}\n`))
  for (const [name, { image }] of Object.entries(services))
    assert.match(tagOf(image), /:[\w.-]*\d/, `${name} has an image without a version`)
})

test('every variable of compose and the cluster is one that is documented', () => {
  const documents = read('docs/reference/config.md') + read('docs/guides/containers.md')
  const used = new Set(
    manifestFiles.flatMap((file) =>
      [...read(file).matchAll(/\bWEIR_[A-Z0-9_]+/g)].map(([name]) => name.replace(/_FILE$/, '')),
    ),
  )
  assert.ok(used.size > 10)
  assert.deepEqual(
    [...used].filter((name) => !documents.includes(`\`${name}\``)),
    [],
  )
})

test('compose publishes on loopback only, and holds no secret', () => {
  for (const [name, { ports = [] }] of Object.entries(services))
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, name)
  assert.doesNotMatch(read('docker-compose.yml'), /(?:PASSWORD|_KEY|_URL): *['"]?(?:weir|postgres)/)
})

test('a container of compose mounts the secrets that it reads, and no others', () => {
  for (const [name, { environment = {}, volumes = [] }] of Object.entries(services)) {
    const folders = (paths: readonly unknown[]) => [
      ...new Set(paths.flatMap((path) => /^\/secrets\/\w+/.exec(String(path)) ?? [])),
    ]
    const mounted = folders(volumes.map((volume: string) => volume.split(':')[1]))
    if (name === 'secrets' || name === 'register') continue
    assert.deepEqual(mounted, folders(Object.values(environment)), name)
    for (const volume of volumes) if (/\/secrets\//.test(volume)) assert.match(volume, /:ro$/, name)
  }
})

test('every container of compose has a bound, and no more rights than it needs', () => {
  const names = Object.keys(services)
  eachEquals(names, (name) => services[name].cap_drop, ['ALL'])
  eachEquals(names, (name) => services[name].security_opt, ['no-new-privileges:true'])
  eachEquals(names, (name) => Object.keys(services[name].deploy.resources.limits), [
    'cpus',
    'memory',
    'pids',
  ])
  eachEquals(
    names.filter((name) => name !== 'kafka'),
    (name) => services[name].read_only,
    true,
  )
  // What runs once has nothing to ask.
  const unasked = ['secrets', 'migrate', 'register']
  eachEquals(
    names.filter((name) => !unasked.includes(name)),
    (name) => Array.isArray(services[name].healthcheck?.test),
    true,
  )
})

test('compose starts a Jaeger of a bounded size, and every process sends it spans', () => {
  assert.ok(first.includes('jaeger'))
  for (const name of [...platform, ...stages])
    assert.match(
      services[name].environment.WEIR_OTLP_URL,
      /^\$\{WEIR_OTLP_URL-http:\/\/jaeger:4318\}$/,
    )
  const [{ extensions, receivers }] = parse('deploy/observability/jaeger.yml') as [Document]
  const { max_traces: tracesMax } = extensions.jaeger_storage.backends.latest.memory
  assert.ok(tracesMax > 0 && tracesMax <= 20_000)
  assert.match(receivers.otlp.protocols.http.endpoint, /:4318$/)
  // What compose does not need, it does not wait for.
  for (const [name, { depends_on: needs = {} }] of Object.entries(services))
    assert.ok(!Object.keys(needs).includes('jaeger'), name)
})

test('stages share no network with the database, and can be scaled', () => {
  for (const name of stages) {
    assert.deepEqual(services[name].networks, ['messages'], name)
    assert.equal(services[name].container_name, undefined, name)
    assert.equal(services[name].ports, undefined, name)
  }
  assert.deepEqual(services.postgres.networks, ['database'])
})

test('every workload of the cluster is confined and bounded', () => {
  assert.ok(workloads.length >= 6)
  for (const workload of workloads) {
    const { name } = workload.metadata
    const pod = podOf(workload)
    const container = containerOf(workload)
    assert.equal(pod.automountServiceAccountToken, false, name)
    assert.equal(pod.securityContext.runAsNonRoot, true, name)
    assert.equal(pod.securityContext.runAsUser, 1000, name)
    assert.deepEqual(
      container.securityContext,
      {
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      },
      name,
    )
    for (const kind of ['requests', 'limits'])
      for (const what of ['cpu', 'memory'])
        assert.ok(container.resources[kind][what], `${name}: ${kind}.${what}`)
  }
})

test('every deployment has its three probes, and time to stop', () => {
  const graceMs = Number(
    /WEIR_STOP_GRACE_MS=(\d+)/.exec(read('deploy/k8s/base/kustomization.yaml'))?.[1],
  )
  for (const workload of workloads.filter(({ kind }) => kind === 'Deployment')) {
    const { startupProbe, livenessProbe, readinessProbe, lifecycle } = containerOf(workload)
    const paths = [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet.path)
    assert.deepEqual(paths, ['/healthz', '/healthz', '/readyz'], workload.metadata.name)
    const pauseMs = (lifecycle?.preStop.sleep.seconds ?? 0) * 1_000
    assert.ok(podOf(workload).terminationGracePeriodSeconds * 1_000 > graceMs + pauseMs)
  }
})

test('deployments, budgets, services and policies find the pods that they are for', () => {
  const labels = workloads.map(({ spec }) => spec.template.metadata.labels)
  const matches = (wanted: Record<string, string>) =>
    labels.some((of) => Object.entries(wanted).every(([key, value]) => of[key] === value))
  for (const { kind, metadata, spec } of objects) {
    const wanted =
      kind === 'Service'
        ? spec.selector
        : kind === 'Deployment' || kind === 'PodDisruptionBudget'
          ? spec.selector.matchLabels
          : undefined
    if (wanted) assert.ok(matches(wanted), `${kind} ${metadata.name}`)
  }
  const budgets = objects.filter(({ kind }) => kind === 'PodDisruptionBudget')
  const deployments = workloads.filter(({ kind }) => kind === 'Deployment')
  assert.deepEqual(
    budgets.map(({ metadata }) => metadata.name).toSorted(),
    deployments.map(({ metadata }) => metadata.name).toSorted(),
  )
})

test('a stage of the cluster is given no way to the database', () => {
  for (const workload of workloads.filter(({ metadata }) => /^weir-stage-/.test(metadata.name))) {
    assert.equal(workload.spec.template.metadata.labels['weir.dev/role'], 'stage')
    assert.doesNotMatch(JSON.stringify(containerOf(workload).env), /POSTGRES|MASTER|OPERATOR/)
  }
  const policy = objects.find(
    ({ kind, metadata, spec }) =>
      kind === 'NetworkPolicy' && metadata.name === 'weir-postgres' && spec.podSelector,
  )
  assert.deepEqual(policy.spec.podSelector.matchLabels, { 'weir.dev/role': 'platform' })
})

test('a secret that a workload mounts is in the template, with the files that it reads', () => {
  const secrets = parse('deploy/k8s/base/secrets.template.yaml')
  for (const workload of workloads) {
    const { env, volumeMounts } = containerOf(workload)
    for (const volume of podOf(workload).volumes ?? []) {
      if (volume.secret === undefined || /^weir-stage-/.test(volume.secret.secretName)) continue
      const secret = secrets.find(({ metadata }) => metadata.name === volume.secret.secretName)
      const mount = volumeMounts.find(({ name }: Document) => name === volume.name)
      const files = env
        .map(({ value }: Document) => value)
        .filter((value: unknown) => typeof value === 'string' && value.startsWith(mount.mountPath))
      const references = env.flatMap(({ valueFrom }: Document) => valueFrom?.secretKeyRef ?? [])
      for (const { name, optional } of references)
        assert.deepEqual([name, optional], [volume.secret.secretName, true])
      const keys = references.map(({ key }: Document) => join(mount.mountPath, key))
      assert.deepEqual(
        [...files, ...keys].toSorted(),
        Object.keys(secret.stringData)
          .map((key) => join(mount.mountPath, key))
          .toSorted(),
        workload.metadata.name,
      )
    }
  }
})

const isOfCluster = ({ apiVersion = '' }: Document) =>
  apiVersion !== '' && !apiVersion.startsWith('kustomize.config.k8s.io/')

test('every object of the cluster keeps to the schema of its kind, to the last field', async () => {
  const own = objects.filter((object) => !Array.isArray(object) && isOfCluster(object))
  const kinds = new Set(own.map(({ kind }) => kind))
  for (const kind of [
    'Deployment',
    'Job',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'ServiceMonitor',
  ])
    assert.ok(kinds.has(kind), kind)
  for (const object of own)
    assert.deepEqual(await findSchemaFaults(object), [], `${object.kind} ${object.metadata.name}`)
})

test('a field that no schema knows, or of the wrong type, is found', async () => {
  const find = (kind: string) => structuredClone(objects.find((object) => object.kind === kind))
  const [deployment, monitor, budget] = ['Deployment', 'ServiceMonitor', 'PodDisruptionBudget'].map(
    find,
  )
  deployment.spec.template.spec.containers[0].securityContext = { runAsNonRot: true }
  monitor.spec.endpoints[0].intervall = '15s'
  budget.spec.selector.matchLabel = {}
  const wrong = find('Deployment')
  wrong.spec.template.spec.containers[0].ports[0].containerPort = '8080'
  const unknown = { apiVersion: 'apps/v1', kind: 'Deploymnet', metadata: { name: 'x' } }
  const faults = await Promise.all(
    [deployment, monitor, budget, wrong, unknown].map(findSchemaFaults),
  )
  assert.deepEqual(faults.slice(0, 3), [
    ['/spec/template/spec/containers/0/securityContext/runAsNonRot: no such field'],
    ['/spec/endpoints/0/intervall: no such field'],
    ['/spec/selector/matchLabel: no such field'],
  ])
  assert.match(String(faults[3]), /containerPort must be integer/)
  assert.match(String(faults[4]), /there is no schema of apps\/v1 Deploymnet/)
})

test('what kustomize makes of the overlay keeps to the schemas too', async (t) => {
  const built = buildKustomization('deploy/k8s/overlays/managed')
  if (built === undefined) return t.skip('neither kustomize nor kubectl is in PATH')
  for (const object of built)
    assert.deepEqual(await findSchemaFaults(object), [], `${object.kind} ${object.metadata.name}`)
  const config = built.find(({ kind }) => kind === 'ConfigMap')
  for (const workload of built.filter(({ kind }) => kind === 'Deployment' || kind === 'Job')) {
    const { env = [], envFrom = [] } = containerOf(workload)
    const names = env.map(({ name }: Document) => name)
    const { name } = workload.metadata
    const isStage = name.startsWith('weir-stage-')
    const isDatabase = name !== 'weir-watchdog' && !isStage
    assert.equal(names.includes('WEIR_POSTGRES_TLS_CA_FILE'), isDatabase, name)
    if (workload.kind === 'Job') continue
    for (const variable of ['WEIR_KAFKA_SASL_USERNAME', 'WEIR_KAFKA_TLS_CA_FILE'])
      assert.ok(names.includes(variable), `${name}: ${variable}`)
    assert.deepEqual(envFrom, [{ configMapRef: { name: config.metadata.name } }], name)
  }
})

test('every file that a kustomization or compose names is there', () => {
  for (const file of manifestFiles.filter((name) => name.endsWith('kustomization.yaml'))) {
    const { resources = [], components = [], patches = [] } = parse(file)[0]
    const named = [...resources, ...components, ...patches.map(({ path }: Document) => path)]
    for (const name of named)
      assert.ok(existsSync(join(root, file, '..', name)), `${file}: ${name}`)
  }
  for (const [name, { build, volumes = [] }] of Object.entries(services)) {
    if (build) assert.ok(existsSync(join(root, build.dockerfile)), name)
    for (const volume of volumes) {
      const [source = ''] = volume.split(':')
      if (source.startsWith('./')) assert.ok(existsSync(join(root, source)), `${name}: ${source}`)
    }
  }
})

test('Prometheus is told of every service that has metrics', () => {
  const [{ scrape_configs: scrapes }] = parse('deploy/observability/prometheus.yml') as [Document]
  const [{ names }] = scrapes[0].dns_sd_configs
  assert.deepEqual(names.toSorted(), [...platform, ...stages].toSorted())
})

test('in compose and in Kubernetes the targets have the job that rules and dashboard ask for', () => {
  const [{ scrape_configs: scrapes }] = parse('deploy/observability/prometheus.yml') as [Document]
  const [service, monitor] = parse('deploy/k8s/base/metrics.yaml') as [Document, Document]
  const job = scrapes[0].job_name
  assert.equal(service.metadata.labels[monitor.spec.jobLabel], job)
  const asked = ['alerts.yml', 'grafana/dashboards/weir.json'].flatMap((file) =>
    [...read(`deploy/observability/${file}`).matchAll(/\bjob=\\?"(\w+)/g)].map(([, name]) => name),
  )
  assert.deepEqual([...new Set(asked)], [job])
})

test('Dockerfiles run without a registry of their syntax, without root and without a shell', () => {
  for (const name of ['platform', 'stage']) {
    const text = read(`deploy/docker/${name}.Dockerfile`)
    assert.doesNotMatch(text, /^# *syntax=/m)
    const last = text.slice(text.lastIndexOf('\nFROM '))
    assert.match(last, /^USER 1000:1000$/m)
    assert.match(last, /^ENTRYPOINT \["node", /m)
    assert.match(last, /^HEALTHCHECK .*\n *CMD \["node", /m)
    assert.match(text, /npm ci --ignore-scripts --omit=dev --omit=optional/)
    for (const label of ['title', 'description', 'licenses', 'version', 'revision'])
      assert.ok(last.includes(`org.opencontainers.image.${label}=`), label)
  }
})
