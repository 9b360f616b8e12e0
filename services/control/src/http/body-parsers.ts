import { limits } from '@weir/contracts'
import { JSON_TYPE, NDJSON_TYPE, YAML_TYPE } from './content-type.ts'
import { parseNdjson } from './ndjson.ts'
import { parseStrictJson } from './strict-json.ts'
import type { App, Request } from './type-provider.ts'
import { parseYaml } from './yaml-document.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Bound of the keys of a JSON body; `limits.jsonKeys` when absent. */
    readonly jsonKeysMax?: number
  }
}

/** Replaces the framework's parsers by ours: strict JSON, bounded YAML, newline-delimited JSON. */
export function addBodyParsers(app: App): void {
  app.removeAllContentTypeParsers()
  const add = (type: string, parse: (body: Buffer, request: Request) => unknown) => {
    app.addContentTypeParser(type, { parseAs: 'buffer' }, async (request: Request, body: Buffer) =>
      body.length === 0 ? undefined : parse(body, request),
    )
  }
  add(JSON_TYPE, (body, { routeOptions }) =>
    parseStrictJson(body, routeOptions.config.jsonKeysMax ?? limits.jsonKeys),
  )
  add(YAML_TYPE, parseYaml)
  add(NDJSON_TYPE, parseNdjson)
}
