import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { limits } from '@weir/contracts'
import type { Static, TSchema } from 'typebox'

export type JsonSchema = { readonly [keyword: string]: unknown }

/** A contract as an author writes it: TypeBox, any Standard Schema library, or plain JSON Schema. */
export type Schema = StandardSchemaV1 | TSchema | JsonSchema

/** What the handler gets of a value that fits the schema. */
export type Parsed<S> =
  S extends StandardSchemaV1<infer _In, infer Out>
    ? Out
    : string extends keyof S
      ? unknown
      : S extends TSchema
        ? Static<S>
        : unknown

/** What the handler may return under the schema. */
export type Written<S> =
  S extends StandardSchemaV1<infer In, infer _Out>
    ? In
    : string extends keyof S
      ? unknown
      : S extends TSchema
        ? Static<S>
        : unknown

/** True for a schema of any library that implements Standard Schema; some of them are functions. */
export function isStandardSchema(schema: unknown): schema is StandardSchemaV1 {
  if (schema === null || (typeof schema !== 'object' && typeof schema !== 'function')) return false
  const props = (schema as Partial<StandardSchemaV1>)['~standard']
  return typeof props?.validate === 'function'
}

/**
 * The JSON Schema that is published for a contract; `{}` (anything) where the library cannot say.
 * Throws with a sentence where the schema is none or is larger than `limits.schemaBytes`.
 */
export function toJsonSchema(schema: unknown, direction: 'input' | 'output'): JsonSchema {
  if (schema === undefined) return {}
  const json = isStandardSchema(schema) ? convert(schema, direction) : schema
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    throw new Error('is neither a Standard Schema, nor a TypeBox type, nor a JSON Schema object')
  }
  const text = JSON.stringify(json)
  if (Buffer.byteLength(text) > limits.schemaBytes) {
    throw new Error(`is larger than ${limits.schemaBytes} bytes as JSON Schema`)
  }
  return JSON.parse(text) as JsonSchema
}

function convert(schema: StandardSchemaV1, direction: 'input' | 'output'): JsonSchema {
  const { jsonSchema } = (schema as unknown as Partial<StandardJSONSchemaV1>)['~standard'] ?? {}
  if (jsonSchema === undefined) return {}
  // Both contracts describe what is on the wire: the side before parsing of what comes in, the side
  // after it of what goes out.
  return jsonSchema[direction]({ target: 'draft-2020-12' })
}
