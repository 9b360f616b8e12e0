import { type FieldError, limits } from '@weir/contracts'

const SUBSCHEMA = [
  'not',
  'if',
  'then',
  'else',
  'items',
  'contains',
  'additionalProperties',
] as const
const MORE_SUBSCHEMA = ['propertyNames', 'unevaluatedItems', 'unevaluatedProperties'] as const
const LISTS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'] as const
const MAPS = [
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
] as const
const PLAIN = [
  ...['$schema', '$comment', '$ref', 'title', 'description', 'default', 'examples', 'deprecated'],
  ...['readOnly', 'writeOnly', 'type', 'enum', 'const', 'format', 'required', 'dependentRequired'],
  ...['minLength', 'maxLength', 'pattern', 'minimum', 'maximum', 'exclusiveMinimum'],
  ...['exclusiveMaximum', 'multipleOf', 'minItems', 'maxItems', 'uniqueItems', 'minContains'],
  ...['maxContains', 'minProperties', 'maxProperties', 'contentEncoding', 'contentMediaType'],
] as const
const KEYWORDS = new Set<string>([...SUBSCHEMA, ...MORE_SUBSCHEMA, ...LISTS, ...MAPS, ...PLAIN])

export const FORMATS = [
  ...['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'],
  ...['uri', 'uri-reference', 'json-pointer', 'byte', 'int32', 'int64', 'float', 'double'],
] as const
const KNOWN_FORMATS = new Set<string>(FORMATS)
const DIALECTS = /^https?:\/\/json-schema\.org\/(draft\/2020-12|draft-07)\/schema#?$/

/** How often all references of a schema may be followed, were each replaced by what it names. */
const EXPANDED_NODES_MAX = 1_000

/**
 * What makes a tenant's schema too costly or unsafe to compile (design §9, contracts): size, depth,
 * subschemas, branches, references that double, references to elsewhere, unknown words. Empty where
 * it may go to the compiler. Paths are JSON pointers into the schema.
 */
export function checkSchemaBudget(schema: unknown): FieldError[] {
  const bytes = Buffer.byteLength(JSON.stringify(schema) ?? '')
  if (bytes > limits.schemaBytes) {
    return [
      { path: '', code: 'schema_too_large', message: `has more than ${limits.schemaBytes} bytes` },
    ]
  }
  const errors: FieldError[] = []
  const walk = { errors, nodes: 0 }
  checkNode(schema, '', 0, walk)
  if (errors.length === 0 && expandedNodes(schema) > EXPANDED_NODES_MAX) {
    errors.push({ path: '', code: 'schema_too_complex', message: 'has references that multiply' })
  }
  return errors.slice(0, 20)
}

type Walk = { readonly errors: FieldError[]; nodes: number }

function checkNode(schema: unknown, path: string, depth: number, walk: Walk): void {
  const say = (code: string, message: string, at = path) =>
    walk.errors.push({ path: at, code, message })
  if (walk.errors.length >= 20) return
  if (typeof schema === 'boolean') return
  if (!isObject(schema)) return void say('schema_invalid', 'is not a schema')
  if (++walk.nodes === limits.schemaNodes + 1) {
    say('schema_too_complex', `has more than ${limits.schemaNodes} subschemas`)
  }
  if (walk.nodes > limits.schemaNodes) return
  if (depth > limits.schemaDepth) {
    return void say('schema_too_complex', `is nested deeper than ${limits.schemaDepth}`)
  }
  for (const key of Object.keys(schema)) {
    if (!KEYWORDS.has(key)) {
      say('schema_keyword', 'is not a keyword that inputs can use', `${path}/${escapePointer(key)}`)
    }
  }
  checkPlain(schema, say, path)
  for (const [at, child] of children(schema)) {
    checkNode(child, path + at, depth + 1, walk)
  }
}

type Say = (code: string, message: string, at?: string) => void

function checkPlain(schema: Readonly<Record<string, unknown>>, say: Say, path: string): void {
  const { $ref, $schema, format } = schema
  if ($ref !== undefined && !(typeof $ref === 'string' && /^#(\/|$)/.test($ref))) {
    say('schema_reference', 'may only refer into this schema (#/…)', `${path}/$ref`)
  }
  if ($schema !== undefined && !(typeof $schema === 'string' && DIALECTS.test($schema))) {
    say('schema_invalid', 'is neither draft 2020-12 nor draft-07', `${path}/$schema`)
  }
  if (format !== undefined && !(typeof format === 'string' && KNOWN_FORMATS.has(format))) {
    say('schema_format', `is none of ${FORMATS.join(', ')}`, `${path}/format`)
  }
  for (const key of LISTS) {
    const list = schema[key]
    if (Array.isArray(list) && list.length > limits.schemaBranches) {
      say('schema_too_complex', `has more than ${limits.schemaBranches} branches`, `${path}/${key}`)
    }
  }
}

/** The subschemas of a schema with their places in it; what is no schema is left to the compiler. */
function* children(schema: Readonly<Record<string, unknown>>): Generator<[string, unknown]> {
  for (const key of [...SUBSCHEMA, ...MORE_SUBSCHEMA]) {
    if (schema[key] !== undefined) yield [`/${key}`, schema[key]]
  }
  for (const key of LISTS) {
    const list = schema[key]
    if (Array.isArray(list))
      for (const [index, one] of list.entries()) yield [`/${key}/${index}`, one]
  }
  for (const key of MAPS) {
    const map = schema[key]
    if (!isObject(map)) continue
    for (const [name, one] of Object.entries(map)) yield [`/${key}/${escapePointer(name)}`, one]
  }
}

/** Number of subschemas with every reference expanded; a reference back to an open one counts 1. */
function expandedNodes(root: unknown): number {
  const known = new Map<unknown, number>()
  const open = new Set<unknown>()
  const count = (schema: unknown): number => {
    if (!isObject(schema) || open.has(schema)) return 1
    const before = known.get(schema)
    if (before !== undefined) return before
    open.add(schema)
    let nodes = 1
    for (const [at, child] of children(schema)) {
      if (!/^\/(\$defs|definitions)\//.test(at)) nodes += count(child)
    }
    if (typeof schema.$ref === 'string') nodes += count(resolve(root, schema.$ref))
    open.delete(schema)
    known.set(schema, nodes)
    return nodes
  }
  return count(root)
}

function resolve(root: unknown, pointer: string): unknown {
  let at = root
  for (const part of pointer.split('/').slice(1)) {
    const key = decodePointer(part)
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return at
}

function decodePointer(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return part
  }
}

export const escapePointer = (key: string): string =>
  key.replaceAll('~', '~0').replaceAll('/', '~1')

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
