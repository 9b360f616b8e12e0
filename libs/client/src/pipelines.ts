import type { FieldError } from '@weir/contracts'
import { segment, type Transport } from './transport.ts'

/** A document as an object, or as text of its media type. */
export type PipelineSource =
  | { readonly document: unknown }
  | { readonly text: string; readonly type: 'application/json' | 'application/yaml' }

export type Published = {
  readonly name: string
  readonly version: number
  readonly planId: string
  readonly warnings: readonly FieldError[]
}

export type Validation = {
  readonly valid: boolean
  readonly errors: readonly FieldError[]
  readonly warnings: readonly FieldError[]
  /** The document with its defaults filled in; not where its shape is wrong. */
  readonly effective?: unknown
}

export type PipelineSummary = {
  readonly name: string
  readonly version: number
  readonly paused: boolean
  readonly createdAt: string
}

export type PipelineVersionSummary = {
  readonly name: string
  readonly version: number
  readonly planId: string
  readonly createdAt: string
  readonly createdBy: string
}

export type PipelineVersion = PipelineVersionSummary & {
  readonly document: unknown
  readonly effective: unknown
}

export type Pipeline = PipelineVersion & { readonly paused: boolean }

export type Page = { readonly limit?: number; readonly cursor?: string }

export type Pipelines = ReturnType<typeof createPipelines>

export function createPipelines(transport: Transport) {
  const pathOf = (name: string): string => `/v1/pipelines/${segment(name)}`
  const bodyOf = (source: PipelineSource) =>
    'document' in source
      ? { json: source.document }
      : { text: { type: source.type, body: source.text } }

  return {
    /** `isNew` is false where the current version is this document already. */
    async publish(
      name: string,
      source: PipelineSource,
      options: { readonly ifVersion?: number } = {},
    ): Promise<Published & { readonly isNew: boolean }> {
      const { status, body } = await transport.send<Published>({
        method: 'PUT',
        path: pathOf(name),
        ...bodyOf(source),
        headers: {
          'if-match': options.ifVersion === undefined ? undefined : `"${options.ifVersion}"`,
        },
      })
      return { ...body, isNew: status === 201 }
    },

    validate(name: string, source: PipelineSource): Promise<Validation> {
      return transport.call<Validation>({
        method: 'POST',
        path: `${pathOf(name)}/validate`,
        ...bodyOf(source),
        isIdempotent: true,
      })
    },

    list(page: Page = {}) {
      return transport.call<{ pipelines: readonly PipelineSummary[]; nextCursor?: string }>({
        method: 'GET',
        path: '/v1/pipelines',
        query: page,
      })
    },

    get(name: string): Promise<Pipeline> {
      return transport.call<Pipeline>({ method: 'GET', path: pathOf(name) })
    },

    versions(name: string, page: Page = {}) {
      return transport.call<{ versions: readonly PipelineVersionSummary[]; nextCursor?: string }>({
        method: 'GET',
        path: `${pathOf(name)}/versions`,
        query: page,
      })
    },

    version(name: string, version: number): Promise<PipelineVersion> {
      return transport.call<PipelineVersion>({
        method: 'GET',
        path: `${pathOf(name)}/versions/${version}`,
      })
    },

    setCurrent(name: string, version: number): Promise<PipelineSummary> {
      const path = `${pathOf(name)}/current`
      return transport.call<PipelineSummary>({ method: 'PUT', path, json: { version } })
    },

    pause(name: string): Promise<PipelineSummary> {
      const path = `${pathOf(name)}/pause`
      return transport.call<PipelineSummary>({ method: 'POST', path, isIdempotent: true })
    },

    resume(name: string): Promise<PipelineSummary> {
      const path = `${pathOf(name)}/resume`
      return transport.call<PipelineSummary>({ method: 'POST', path, isIdempotent: true })
    },

    /** No new jobs; queued and running ones end. */
    delete(name: string): Promise<void> {
      return transport.call<void>({ method: 'DELETE', path: pathOf(name) })
    },
  }
}
