import { isUtf8 } from 'node:buffer'
import { limits, WeirError } from '@weir/contracts'
import { Composer, type Document, isScalar, Lexer, Parser, visit } from 'yaml'
import { inspectJson } from './strict-json.ts'

/** A level of the document takes up to two tokens on the parser's stack, plus the document's own. */
const STACK_MAX = 2 * limits.jsonDepth + 4
const ALIASES_MAX = 100
/** A pipeline of 200 steps has about 15,000. */
const LEXEMES_MAX = 50_000

const fault = (detail: string, cause?: unknown): WeirError =>
  new WeirError('invalid_request', detail, { cause })

/**
 * Parses one YAML 1.2 document of JSON's types, under the same bounds as `parseStrictJson`; throws
 * `invalid_request`. Tags, several documents and aliases that expand without end are refused.
 *
 * The nesting is bounded while tokens are read, before the library's recursive composer sees them:
 * `- ` written 131,072 times does not overflow its stack, it aborts the whole process. Duplicate
 * keys are looked for here too: the library compares every two keys of a map (20,000 keys, 4.7 s).
 */
export function parseYaml(body: Buffer): unknown {
  if (!isUtf8(body)) throw fault('The body is not UTF-8.')
  const document = compose(body.toString('utf8'))
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) throw fault(`The body is not YAML: ${problem.code}.`, problem)
  checkNodes(document)
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: ALIASES_MAX })
  } catch (cause) {
    throw fault('The body has too many YAML aliases.', cause)
  }
  inspectJson(value)
  return value
}

function compose(text: string): Document {
  const options = { schema: 'core', version: '1.2', uniqueKeys: false, logLevel: 'silent' } as const
  const [document, ...others] = [...new Composer(options).compose(readTokens(text), true, -1)]
  if (document === undefined || others.length > 0) throw fault('The body is not one YAML document.')
  return document
}

function checkNodes(document: Document): void {
  visit(document, {
    Map(_, map) {
      const keys = new Set<unknown>()
      for (const { key } of map.items) {
        if (!isScalar(key) || typeof key.value === 'object') throw fault('A key is no text.')
        const name = String(key.value)
        if (keys.has(name)) throw fault('The body has an object with the same key twice.')
        keys.add(name)
      }
    },
    Scalar(_, { value }) {
      const isPlain = value === null || ['string', 'number', 'boolean'].includes(typeof value)
      if (!isPlain) throw fault('The body has a value that JSON does not know.')
    },
  })
}

function* readTokens(text: string) {
  const parser = new Parser()
  let lexemes = 0
  for (const lexeme of new Lexer().lex(text)) {
    if (++lexemes > LEXEMES_MAX) throw new WeirError('payload_too_large', 'The body is too large.')
    yield* parser.next(lexeme)
    if (parser.stack.length > STACK_MAX) {
      throw fault(`The body is nested deeper than ${limits.jsonDepth}.`)
    }
  }
  yield* parser.end()
}
