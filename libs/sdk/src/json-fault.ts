import { limits } from '@weir/contracts'
import type { ContractFault } from './contract.ts'

/**
 * Where a value is not what JSON would make of it (NaN, dates, maps, cycles, holes), or null. Without
 * this, `JSON.stringify` changes such values silently, after the contract was checked.
 */
export function findJsonFault(value: unknown): ContractFault | null {
  return visit(value, 0)
}

function visit(value: unknown, depth: number): ContractFault | null {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null
    case 'number':
      return Number.isFinite(value) ? null : fault('is a number that JSON does not know')
    case 'object':
      return value === null ? null : visitObject(value, depth)
    default:
      return fault(`is of type ${typeof value}, which JSON does not know`)
  }
}

function visitObject(value: object, depth: number): ContractFault | null {
  if (depth >= limits.jsonDepth) return fault(`is nested deeper than ${limits.jsonDepth} levels`)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) {
      const found = visit(value[i], depth + 1)
      if (found !== null) return { ...found, path: `/${i}${found.path}` }
    }
    return null
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    const name = (value as { constructor?: { name?: unknown } }).constructor?.name
    return fault(`is a ${String(name)}, not plain JSON`)
  }
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key]
    // An undefined member is left out by JSON as by everyone who reads it.
    if (member === undefined) continue
    const found = visit(member, depth + 1)
    if (found !== null) return { ...found, path: `/${key.slice(0, 100)}${found.path}` }
  }
  return null
}

const fault = (message: string): ContractFault => ({ path: '', message })
