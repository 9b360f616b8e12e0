import { type FieldError, WeirError } from '@weir/contracts'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { escapePointer } from '../inputs/schema-budget.ts'

const options = {
  verbose: true,
  strict: false,
  allErrors: false,
  removeAdditional: false,
  useDefaults: false,
}
/** Bodies are JSON and keep their types; what stands in a URL is text and is read as the type asked for. */
const ajvForBodies = new Ajv2020({ ...options, coerceTypes: false })
const ajvForText = new Ajv2020({ ...options, coerceTypes: 'array' })
for (const ajv of [ajvForBodies, ajvForText]) addFormats.default(ajv)

/** Compiles our own schemas; faults become field errors that do not repeat values. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const ajv = httpPart === 'body' ? ajvForBodies : ajvForText
  const validate = ajv.compile(schema)
  const inBody = httpPart === 'body'
  return (value: unknown) => {
    if (validate(value)) return { value }
    const errors = toFieldErrors(validate.errors ?? [])
    const [first] = errors
    const at = first === undefined || first.path === '' ? '' : ` at ${first.path}`
    const where = inBody ? 'body' : httpPart === 'querystring' ? 'query' : String(httpPart)
    return {
      error: new WeirError('invalid_request', `The ${where} is not valid${at}.`, { errors }),
    }
  }
}

/** Ajv's sentences name our schema's bounds, never the value; unions are told in one sentence. */
export function toFieldErrors(errors: readonly ErrorObject[]): FieldError[] {
  const union = errors.find(({ keyword }) => keyword === 'anyOf')
  const shown = union === undefined ? errors : [union]
  return shown.map(({ instancePath, keyword, message, params, schema }) => {
    const name = params.missingProperty ?? params.additionalProperty
    const path =
      name === undefined ? instancePath : `${instancePath}/${escapePointer(String(name))}`
    const words = keyword === 'anyOf' ? wordsOf(schema) : undefined
    return {
      path,
      code: keyword === 'additionalProperties' ? 'unknown_field' : keyword,
      message: words === undefined ? (message ?? 'is not valid') : `must be one of ${words}`,
    }
  })
}

function wordsOf(schema: unknown): string | undefined {
  const words = Array.isArray(schema) ? schema.map((one) => one?.const) : []
  return words.length > 0 && words.every((word) => word !== undefined)
    ? words.join(', ')
    : undefined
}
