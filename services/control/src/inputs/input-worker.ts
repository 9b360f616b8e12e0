import { parentPort } from 'node:worker_threads'
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { escapePointer, FORMATS } from './schema-budget.ts'

/** To the worker: compile `schema` (once per id) and check each input; both are JSON text. */
export type InputQuestion = {
  readonly schemaId: string
  readonly schema: string
  readonly inputs: readonly string[]
}

/** From the worker: why the schema does not compile, or per input its faults. Values are not in it. */
export type InputAnswer =
  | { readonly schemaFault: string }
  | { readonly faults: readonly (readonly InputFault[])[] }

export type InputFault = { readonly path: string; readonly code: string; readonly message: string }

const COMPILED_MAX = 100
const FAULTS_MAX = 20
const compiled = new Map<string, ValidateFunction>()

parentPort?.on('message', (question: InputQuestion) => {
  parentPort?.postMessage(answer(question))
})

function answer({ schemaId, schema, inputs }: InputQuestion): InputAnswer {
  let validate: ValidateFunction
  try {
    validate = compiled.get(schemaId) ?? compile(schema)
  } catch (error) {
    return { schemaFault: String((error as Error).message).slice(0, 500) }
  }
  compiled.delete(schemaId)
  compiled.set(schemaId, validate)
  if (compiled.size > COMPILED_MAX) compiled.delete(compiled.keys().next().value as string)
  return { faults: inputs.map((input) => check(validate, input)) }
}

/** A fresh instance per schema: nothing of one tenant's schema is seen by the next. */
function compile(schema: string): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: false, validateSchema: true, logger: false })
  addFormats.default(ajv, { formats: [...FORMATS] })
  const { $schema: _, ...rest } = asObject(JSON.parse(schema))
  return ajv.compile(rest)
}

function asObject(schema: unknown): Record<string, unknown> {
  return typeof schema === 'boolean' ? { allOf: [schema] } : (schema as Record<string, unknown>)
}

function check(validate: ValidateFunction, input: string): InputFault[] {
  if (validate(JSON.parse(input)) === true) return []
  return (validate.errors ?? []).slice(0, FAULTS_MAX).map(toFault)
}

/** Ajv's own sentences name keywords and bounds of the schema, never the value. */
function toFault({ instancePath, keyword, message, params }: ErrorObject): InputFault {
  const name = params.missingProperty ?? params.additionalProperty ?? params.unevaluatedProperty
  const path = name === undefined ? instancePath : `${instancePath}/${escapePointer(String(name))}`
  return { path, code: keyword, message: message ?? 'is not valid' }
}
