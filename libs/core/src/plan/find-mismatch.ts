import { limits } from '@weir/contracts'

type SchemaObject = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is SchemaObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

/** Constructs whose meaning is not looked at: what uses them passes. */
const OPAQUE = ['$ref', '$dynamicRef', 'allOf', 'not', 'if', 'dependentSchemas']

function branchesOf(schema: SchemaObject): readonly unknown[] | undefined {
  const branches = schema.anyOf ?? schema.oneOf
  return Array.isArray(branches) ? branches : undefined
}

function typesOf(schema: SchemaObject): Set<string> | undefined {
  if (typeof schema.type === 'string') return new Set([schema.type])
  if (Array.isArray(schema.type)) return new Set(schema.type.map(String))
  return undefined
}

function overlaps(source: ReadonlySet<string>, target: ReadonlySet<string>): boolean {
  const wide = (types: ReadonlySet<string>) =>
    types.has('integer') ? new Set([...types, 'number']) : types
  const wanted = wide(target)
  return [...wide(source)].some((type) => wanted.has(type))
}

function valuesOf(schema: SchemaObject): readonly unknown[] | undefined {
  if ('const' in schema) return [schema.const]
  return Array.isArray(schema.enum) ? schema.enum : undefined
}

const isScalar = (value: unknown) => value === null || typeof value !== 'object'

type Walk = { left: number }

function mismatchOfObjects(
  source: SchemaObject,
  target: SchemaObject,
  at: string,
  walk: Walk,
  depth: number,
): string | undefined {
  const offered = isObject(source.properties) ? source.properties : undefined
  const wanted = isObject(target.properties) ? target.properties : {}
  const required = Array.isArray(target.required) ? target.required.map(String) : []
  // An object without declared members, or open by its own words, may hold anything.
  const isOpen =
    offered === undefined
      ? source.additionalProperties !== false
      : source.patternProperties !== undefined ||
        source.additionalProperties === true ||
        isObject(source.additionalProperties)
  for (const name of required) {
    if (isOpen || Object.hasOwn(offered ?? {}, name)) continue
    return `${at}/${name} is required by the target and not offered by the source`
  }
  for (const [name, member] of Object.entries(offered ?? {})) {
    if (Object.hasOwn(wanted, name)) {
      const fault = mismatch(member, wanted[name], `${at}/${name}`, walk, depth + 1)
      // A member that the source may leave out and the target does not need can still be left out.
      const isSent = Array.isArray(source.required) && source.required.includes(name)
      if (fault !== undefined && (isSent || required.includes(name))) return fault
    } else if (
      target.additionalProperties === false &&
      target.patternProperties === undefined &&
      Array.isArray(source.required) &&
      source.required.includes(name)
    ) {
      return `${at}/${name} is always sent by the source and refused by the target`
    }
  }
  return undefined
}

function mismatch(
  source: unknown,
  target: unknown,
  at: string,
  walk: Walk,
  depth: number,
): string | undefined {
  if (!isObject(source) || !isObject(target)) return undefined
  if (--walk.left < 0 || depth > limits.schemaDepth) return undefined
  if (OPAQUE.some((word) => word in source || word in target)) return undefined
  const targets = branchesOf(target)
  if (targets !== undefined) {
    const faults = targets.map((branch) => mismatch(source, branch, at, walk, depth + 1))
    return faults.includes(undefined) ? undefined : faults[0]
  }
  const sources = branchesOf(source)
  if (sources !== undefined) {
    const faults = sources.map((branch) => mismatch(branch, target, at, walk, depth + 1))
    return faults.includes(undefined) ? undefined : faults[0]
  }
  const sourceValues = valuesOf(source)
  const targetValues = valuesOf(target)
  if (sourceValues?.every(isScalar) && targetValues?.every(isScalar)) {
    if (!sourceValues.some((value) => targetValues.includes(value))) {
      return `${at || '/'} has no value that both sides know`
    }
  }
  const sourceTypes = typesOf(source)
  const targetTypes = typesOf(target)
  if (sourceTypes === undefined || targetTypes === undefined) return undefined
  if (!overlaps(sourceTypes, targetTypes)) {
    const words = (types: ReadonlySet<string>) => [...types].join(' or ')
    return `${at || '/'} is ${words(sourceTypes)} at the source and ${words(targetTypes)} at the target`
  }
  if (sourceTypes.has('object') && targetTypes.has('object')) {
    if (sourceTypes.size > 1 || targetTypes.size > 1) return undefined
    return mismatchOfObjects(source, target, at, walk, depth)
  }
  if (sourceTypes.has('array') && targetTypes.has('array')) {
    return mismatch(source.items, target.items, `${at}/*`, walk, depth + 1)
  }
  return undefined
}

/**
 * Why no output of the source can suit the target, or undefined. A structural comparison: what the
 * target requires must be offered, with types that overlap; what it does not understand passes, so
 * it never refuses an edge that could work. Bounded in nodes and depth.
 */
export function findMismatch(source: unknown, target: unknown): string | undefined {
  return mismatch(source, target, '', { left: 4 * limits.schemaNodes }, 0)
}
