import type { FieldError } from '@weir/contracts'
import { pointer } from './json-pointer.ts'
import { nearest } from './nearest.ts'

/**
 * The part of JSON Schema that `pipelineSchema` uses. Faults are described here and not by the
 * schema library: a union of a name and an edge object would answer with both branches' complaints.
 */
export type PlainSchema = {
  readonly type?: string
  readonly const?: unknown
  readonly anyOf?: readonly PlainSchema[]
  readonly properties?: Readonly<Record<string, PlainSchema>>
  readonly patternProperties?: Readonly<Record<string, PlainSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean
  readonly items?: PlainSchema
  readonly maxItems?: number
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
}

const FAULTS_MAX = 100

type Visit = { readonly faults: FieldError[]; readonly patterns: Map<string, RegExp> }

function add(visit: Visit, path: string, code: string, message: string, fix?: string): void {
  if (visit.faults.length >= FAULTS_MAX) return
  visit.faults.push(fix === undefined ? { path, code, message } : { path, code, message, fix })
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

function fits(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isSafeInteger(value)
  if (type === 'number') return typeof value === 'number' && Number.isFinite(value)
  return typeOf(value) === type
}

function matches(visit: Visit, pattern: string, text: string): boolean {
  let compiled = visit.patterns.get(pattern)
  if (compiled === undefined) {
    compiled = new RegExp(pattern)
    visit.patterns.set(pattern, compiled)
  }
  return compiled.test(text)
}

function visitUnion(
  visit: Visit,
  branches: readonly PlainSchema[],
  value: unknown,
  path: string,
): void {
  const words = branches.map((branch) => branch.const).filter((word) => word !== undefined)
  const branch = branches.find((one) => one.type !== undefined && fits(one.type, value))
  if (words.length === branches.length) {
    if (words.includes(value as string)) return
    const near = typeof value === 'string' ? nearest(value, words as string[]) : undefined
    add(visit, path, 'invalid_value', `must be one of ${words.join(', ')}`, near)
  } else if (branch !== undefined) {
    visitValue(visit, branch, value, path)
  } else {
    const types = branches.map((one) => article(one.type ?? 'value')).join(' or ')
    add(visit, path, 'invalid_type', `must be ${types}, not ${typeOf(value)}`)
  }
}

function visitObject(visit: Visit, schema: PlainSchema, value: object, path: string): void {
  const properties = schema.properties ?? {}
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) {
      add(visit, pointer(path, name), 'required', `"${name}" is required`)
    }
  }
  const patterns = Object.entries(schema.patternProperties ?? {})
  for (const [name, member] of Object.entries(value)) {
    if (visit.faults.length >= FAULTS_MAX) return
    if (member === undefined) continue
    if (Object.hasOwn(properties, name)) {
      visitValue(visit, properties[name] as PlainSchema, member, pointer(path, name))
      continue
    }
    const pattern = patterns.find(([text]) => matches(visit, text, name))
    if (pattern !== undefined) {
      visitValue(visit, pattern[1], member, pointer(path, name))
    } else if (patterns.length > 0) {
      const rule = patterns.map(([text]) => text).join(' or ')
      add(visit, pointer(path, name), 'invalid_name', `the name must match ${rule}`)
    } else if (schema.additionalProperties === false) {
      const near = nearest(name, Object.keys(properties))
      const known = Object.keys(properties).join(', ')
      add(visit, pointer(path, name), 'unknown_field', `unknown field; known: ${known}`, near)
    }
  }
}

function visitText(visit: Visit, schema: PlainSchema, value: string, path: string): void {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema
  if (value.length < minLength) {
    add(visit, path, 'invalid_value', `must have at least ${minLength} characters`)
  } else if (value.length > maxLength) {
    add(visit, path, 'too_large', `must have at most ${maxLength} characters`)
  } else if (pattern !== undefined && !matches(visit, pattern, value)) {
    add(visit, path, 'invalid_value', `must match ${pattern}`)
  }
}

function visitNumber(visit: Visit, schema: PlainSchema, value: number, path: string): void {
  const { minimum, maximum, exclusiveMinimum } = schema
  if (minimum !== undefined && value < minimum) {
    add(visit, path, 'invalid_value', `must be at least ${minimum}`)
  } else if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) {
    add(visit, path, 'invalid_value', `must be more than ${exclusiveMinimum}`)
  } else if (maximum !== undefined && value > maximum) {
    add(visit, path, 'invalid_value', `must be at most ${maximum}`)
  }
}

function visitArray(
  visit: Visit,
  schema: PlainSchema,
  value: readonly unknown[],
  path: string,
): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    add(visit, path, 'too_large', `must have at most ${schema.maxItems} elements`)
  } else if (schema.items !== undefined) {
    for (const [index, element] of value.entries()) {
      visitValue(visit, schema.items, element, pointer(path, index))
    }
  }
}

function visitValue(visit: Visit, schema: PlainSchema, value: unknown, path: string): void {
  if (schema.anyOf !== undefined) {
    visitUnion(visit, schema.anyOf, value, path)
  } else if (schema.type !== undefined && !fits(schema.type, value)) {
    const message = `must be ${article(schema.type)}, not ${typeOf(value)}`
    add(visit, path, 'invalid_type', message)
  } else if (schema.type === 'string') {
    visitText(visit, schema, value as string, path)
  } else if (schema.type === 'integer' || schema.type === 'number') {
    visitNumber(visit, schema, value as number, path)
  } else if (schema.type === 'array') {
    visitArray(visit, schema, value as unknown[], path)
  } else if (schema.type === 'object') {
    visitObject(visit, schema, value as object, path)
  }
}

/** What is wrong with a value, each fault with its JSON pointer; at most 100 of them. */
export function describeFaults(schema: PlainSchema, value: unknown): FieldError[] {
  const visit: Visit = { faults: [], patterns: new Map() }
  visitValue(visit, schema, value, '')
  return visit.faults
}
