import { WeirError } from '@weir/contracts'
import type { Request } from './type-provider.ts'

export const JSON_TYPE = 'application/json'
export const YAML_TYPE = 'application/yaml'
export const NDJSON_TYPE = 'application/x-ndjson'

const CHARSET = /^[^;]+; ?charset="?utf-8"?$/i

/**
 * Refuses a body whose media type the route does not read. The header must have exactly one of a few
 * spellings: parsers and validators that read odd ones differently were the way around validation.
 */
export function checkContentType(request: Request, consumes: readonly string[]): void {
  const { headers } = request.raw
  const hasBody =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0
  if (!hasBody) return
  const header = headers['content-type'] ?? ''
  const media = header.split(';', 1)[0]?.toLowerCase() ?? ''
  const isPlain = header.length === media.length || CHARSET.test(header)
  if (!consumes.includes(media) || !isPlain) {
    const allowed = consumes.length === 0 ? 'no body' : consumes.join(', ')
    throw new WeirError('unsupported_media_type', `The route reads ${allowed}.`)
  }
}
