import type { Document } from './manifests.ts'

/** A class of the models: its check is a method that throws. */
type Kind = { readonly prototype: { validate(): void } }

/** Which package has the schemas of which API; an object of another one is a fault by itself. */
const PACKAGES: Readonly<Record<string, string>> = {
  v1: 'kubernetes-models/v1',
  'apps/v1': 'kubernetes-models/apps/v1',
  'batch/v1': 'kubernetes-models/batch/v1',
  'policy/v1': 'kubernetes-models/policy/v1',
  'networking.k8s.io/v1': 'kubernetes-models/networking.k8s.io/v1',
  'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
  'keda.sh/v1alpha1': '@kubernetes-models/keda/keda.sh/v1alpha1',
}

async function findKind(object: Document): Promise<Kind | undefined> {
  const folder = PACKAGES[object?.apiVersion]
  if (folder === undefined) return undefined
  const kinds = (await import(`${folder}/${object.kind}`).catch(() => ({}))) as Record<string, Kind>
  return kinds[object.kind]
}

/** What is wrong with an object of a cluster, one sentence each; also fields that nobody knows. */
export async function findSchemaFaults(object: Document): Promise<string[]> {
  const kind = await findKind(object)
  if (kind === undefined) return [`there is no schema of ${object?.apiVersion} ${object?.kind}`]
  const looks = new Map<object, Set<string>>()
  try {
    // With the object itself: a model would make a copy, and that looks at everything.
    kind.prototype.validate.call(watch(object, looks))
  } catch (error) {
    return [(error as Error).message]
  }
  return findUnknown(object, looks, '')
}

/**
 * The schemas let unknown fields pass, as the API's own do. So the check is watched while it reads:
 * of an object it asks for every field that it knows, by name, and a field that it never asked for is
 * none that it knows.
 */
function watch<T>(value: T, looks: Map<object, Set<string>>): T {
  if (typeof value !== 'object' || value === null) return value
  const seen = new Set<string>()
  looks.set(value, seen)
  const watched = new Map<string, unknown>()
  return new Proxy(value as object, {
    get(target, name) {
      if (typeof name !== 'string') return Reflect.get(target, name)
      seen.add(name)
      if (!watched.has(name)) watched.set(name, watch(Reflect.get(target, name), looks))
      return watched.get(name)
    },
  }) as T
}

function findUnknown(value: unknown, looks: Map<object, Set<string>>, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  const seen = looks.get(value)
  // Never opened: any content is allowed there.
  if (seen === undefined || seen.size === 0) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const at = `${path}/${name}`
    return Array.isArray(value) || seen.has(name)
      ? findUnknown(inner, looks, at)
      : [`${at}: no such field`]
  })
}
