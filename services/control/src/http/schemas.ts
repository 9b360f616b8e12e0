import { type TSchema, Type } from 'typebox'

export const closed = { additionalProperties: false } as const

/** One of a closed set of words. */
export const oneOf = <const Values extends readonly string[]>(values: Values) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: [...values] })

export const time = Type.String({ format: 'date-time' })
export const nullable = <Schema extends TSchema>(schema: Schema) =>
  Type.Union([schema, Type.Null()])

/** Ids in paths are of any form: what is no id of ours is simply not there. */
export const idParams = Type.Object({ id: Type.String() })
export const nameParams = Type.Object({ name: Type.String() })

export const limitOf = (fallback: number, maximum: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, default: fallback }))
